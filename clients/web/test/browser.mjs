// Chromium for the tests: Debian's, or the one CHROMIUM names.
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

export const args = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--font-render-hinting=none',
  '--force-color-profile=srgb',
];
export function launch() {
  const executablePath = [
    process.env.CHROMIUM,
    '/usr/bin/chromium',
    '/usr/bin/chromium-browser',
    '/usr/bin/google-chrome',
  ].find((path) => path && existsSync(path));
  if (!executablePath)
    throw new Error('Chromium is missing: apt-get install chromium fonts-noto-cjk fonts-noto-color-emoji');
  return chromium.launch({ executablePath, args, headless: true });
}
