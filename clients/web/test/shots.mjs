// npm run shots: makes the ten pictures of screenshots/ anew. With --check it compares them instead, allowing for the
// edges of letters, and writes what differs to test/out. With names, only those.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import pixelmatch from 'pixelmatch';
import { PNG } from 'pngjs';
import { launch } from './browser.mjs';
import { clipped, scenes, with_scene } from './scenes.mjs';

const k_differing_max = 0.02; // Of the pixels: another version of the fonts moves that much, a lost pane far more.
const check = process.argv.includes('--check');
const names = process.argv.slice(2).filter((name) => !name.startsWith('--'));
const kept = new URL('../screenshots/', import.meta.url).pathname;
const out = new URL('out/', import.meta.url).pathname;
mkdirSync(kept, { recursive: true });
mkdirSync(out, { recursive: true });

const browser = await launch();
let failures = 0;
let passed = 0;
for (const name of names.length ? names : Object.keys(scenes)) {
  await with_scene(browser, name, async (page, scene) => {
    const bad = await clipped(page);
    const problems = [...bad.map((one) => `clipped: ${one}`), ...scene.errors];
    const taken = await page.screenshot({ animations: 'disabled', caret: 'hide' });
    const file = `${kept}${name}.png`;
    if (!check) writeFileSync(file, taken);
    else if (!existsSync(file)) problems.push('no picture is kept');
    else {
      const a = PNG.sync.read(readFileSync(file));
      const b = PNG.sync.read(taken);
      if (a.width !== b.width || a.height !== b.height)
        problems.push(`size ${b.width}x${b.height}, kept ${a.width}x${a.height}`);
      else {
        const difference = new PNG({ width: a.width, height: a.height });
        const share =
          pixelmatch(a.data, b.data, difference.data, a.width, a.height, { threshold: 0.25 }) / (a.width * a.height);
        if (share > k_differing_max) {
          problems.push(`${(share * 100).toFixed(2)} % of the pixels differ`);
          writeFileSync(`${out}${name}.png`, taken);
          writeFileSync(`${out}${name}.diff.png`, PNG.sync.write(difference));
        }
      }
    }
    if (problems.length > 0) failures += 1;
    else passed += 1;
    console.log(`${problems.length > 0 ? 'FAIL' : 'ok  '} ${name}${problems.map((one) => `\n     ${one}`).join('')}`);
  });
}
await browser.close();
console.log(`${passed} passed, ${failures} failed`);
process.exit(failures > 0 ? 1 : 0);
