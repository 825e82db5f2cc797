// Draws public/icon-*.png from public/icon.svg. Run by hand after the icon changed.
import { readFileSync } from 'node:fs';
import { launch } from '../test/browser.mjs';

const folder = new URL('../public/', import.meta.url);
const svg = readFileSync(new URL('icon.svg', folder), 'utf8');
const browser = await launch();
for (const size of [192, 512]) {
  const page = await browser.newPage({ viewport: { width: size, height: size } });
  await page.setContent(`<style>body{margin:0}svg{width:100vw;height:100vh;display:block}</style>${svg}`);
  await page.screenshot({ path: new URL(`icon-${size}.png`, folder).pathname, omitBackground: true });
}
await browser.close();
