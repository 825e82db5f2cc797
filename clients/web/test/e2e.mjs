// End to end in headless Chromium: people in browser contexts of their own, a server, and everything a newcomer does.
//   node test/e2e.mjs                        against the mock of this folder
//   node test/e2e.mjs --start 'COMMAND'      against the server that COMMAND starts; it prints a line `ready {"web":"URL"}`.
//                                            The steps with kill -9 run its whole process group down and COMMAND again.
//   node test/e2e.mjs ... STEP...            only the steps whose names contain one of the words
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { createHash, randomBytes } from 'node:crypto';
import { launch } from './browser.mjs';
import { MockServer } from './mock_server.mjs';
import { clipped } from './scenes.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const out = new URL('out/', import.meta.url).pathname;
mkdirSync(out, { recursive: true });
const argv = process.argv.slice(2);
const start_at = argv.indexOf('--start');
const command = start_at >= 0 ? argv.splice(start_at, 2)[1] : null;
const k_wait_ms = 15_000;

function check(truth, what) {
  if (!truth) throw new Error(`not so: ${what}`);
}
async function until(what, name, ms = k_wait_ms) {
  const end = Date.now() + ms;
  let last;
  for (;;) {
    try {
      if (await what()) return;
      last = 'false';
    } catch (error) {
      last = error.message.split('\n')[0];
    }
    if (Date.now() > end) throw new Error(`it did not become so: ${name ?? what} (${last})`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

// ---- the server
class Mock {
  constructor() {
    this.mock = new MockServer();
  }
  async start() {
    this.origin = await this.mock.listen();
  }
  async kill() {
    this.dead = true;
    this.mock.refuse(true);
  }
  async again() {
    this.dead = false;
    this.mock.refuse(false);
  }
  async stop() {
    await this.mock.close();
  }
  async ticket(name, nickname) {
    this.mock.make_user(name, 'a password', nickname);
    return Buffer.from(`ticket-of-${name}`).toString('base64url');
  }
  async system_message() {
    return false;
  }
}
class Real {
  async start() {
    this.child = spawn('/bin/bash', ['-c', command], { detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
    this.origin = await new Promise((resolve, reject) => {
      let text = '';
      this.child.stdout.on('data', (data) => {
        text += data;
        const line = /^ready (\{.*\})$/m.exec(text);
        if (!line) return;
        this.secret ??= /^\s*([0-9a-f]{64})$/m.exec(text)?.[1]; // Printed at the first start only.
        const ready = JSON.parse(line[1]);
        this.server_api = ready.server_api;
        this.long_link = ready.long_link;
        resolve(ready.web.replace(/\/$/, ''));
      });
      this.child.on('exit', (code) => reject(new Error(`the server ended with ${code}:\n${text.slice(-2000)}`)));
    });
  }
  async kill(signal = 'SIGKILL') {
    this.dead = true;
    const gone = new Promise((resolve) => this.child.once('exit', resolve));
    try {
      process.kill(-this.child.pid, signal);
    } catch {
      return;
    }
    await gone;
  }
  // One command of the server port, as an integrator's backend would give it.
  async integrator(command_path, body) {
    const url = this.server_api.startsWith('http') ? this.server_api : `http://${this.server_api}`;
    const answer = await fetch(`${url}/api/v1/${command_path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${this.secret}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    check(answer.ok, `${command_path}: ${answer.status} ${await answer.clone().text()}`);
    return answer.json();
  }
  async ticket(name, nickname) {
    if (!this.server_api || !this.secret) return null;
    await this.integrator('users', { external_id: name, nickname });
    return (await this.integrator('tickets', { external_id: name })).ticket;
  }
  async system_message(name, text) {
    await this.integrator('messages', { from: 'system', to: name, client_msg_id: `system-${name}`, text });
    return true;
  }
  async again() {
    await this.start();
    this.dead = false;
  }
  async stop() {
    await this.kill('SIGTERM');
  }
}

// ---- people
let browser;
let server;
const stamp = Date.now().toString(36);
let people = 0;
const problems = [];
class Person {
  static async make(nickname, options = {}) {
    const one = new Person();
    one.name = `u${stamp}${people++}`;
    one.nickname = nickname;
    one.password = `plain fox ${stamp} jumps`;
    one.context = await browser.newContext({
      viewport: { width: 1200, height: 760 },
      locale: 'en-US',
      reducedMotion: 'reduce',
      ...options,
    });
    await one.context
      .grantPermissions(['clipboard-read', 'clipboard-write'], { origin: server.origin })
      .catch(() => {});
    one.page = await one.tab();
    return one;
  }
  async tab() {
    const page = await this.context.newPage();
    page.setDefaultTimeout(k_wait_ms);
    page.on('pageerror', (error) => problems.push(`${this.nickname}: ${error.message}`));
    page.on('console', (message) => {
      if (message.type() === 'error' && /Content Security Policy|Uncaught/.test(message.text()))
        problems.push(`${this.nickname}: ${message.text()}`);
    });
    await page.goto(server.origin);
    return page;
  }
  async register() {
    const { page } = this;
    await page.locator('form .link').click();
    await page.fill('[name=username]', this.name);
    await page.fill('[name=nickname]', this.nickname);
    await page.fill('[name=password]', this.password);
    await page.click('form button.primary');
    await page.waitForSelector('nav');
    return this;
  }
  async login(page = this.page) {
    await page.fill('[name=username]', this.name);
    await page.fill('[name=password]', this.password);
    await page.click('form button.primary');
    await page.waitForSelector('nav');
  }
  go(section, page = this.page) {
    return page.locator('nav').getByText(section, { exact: true }).click();
  }
  async ask(other) {
    await this.go('Chats');
    await this.page.click('[title="New chat"]');
    await this.page.getByRole('menuitem', { name: 'Add a friend' }).click();
    await this.page.fill('dialog form.find input', other.name);
    await this.page.click('dialog >> text=Find');
    await this.page.click('text=Ask to be friends');
    await this.page.waitForSelector('dialog >> text=Waiting for an answer');
    await this.page.keyboard.press('Escape');
  }
  async accept(other) {
    await this.go('Contacts');
    await this.page.locator('.person', { hasText: other.nickname }).getByRole('button', { name: 'Accept' }).click();
    await this.go('Chats');
  }
  async open(title, page = this.page) {
    await this.go('Chats', page);
    await page.locator('.chat', { hasText: title }).first().click();
    await page.waitForSelector('#composer');
  }
  // A chat with a friend, also before it is in the list.
  async open_friend(other, page = this.page) {
    await this.go('Contacts', page);
    await page.locator('.person', { hasText: other.nickname }).first().locator('.cover').click();
    await page.click('text=Send message');
    await page.waitForSelector('#composer');
  }
  async say(text, page = this.page) {
    await page.fill('#composer', text);
    await page.press('#composer', 'Enter');
  }
  async texts(page = this.page) {
    return page.locator('.bubble .text').allTextContents();
  }
  async sees(text, page = this.page) {
    await until(async () => (await this.texts(page)).some((one) => one === text), `${this.nickname} sees "${text}"`);
  }
  async all_sent(page = this.page) {
    await until(
      async () =>
        (await page.locator('.state:not([aria-label="Sent"])').count()) === 0 &&
        (await page.locator('.failure').count()) === 0,
      `everything of ${this.nickname} is sent`,
    );
  }
  async unread(title) {
    return (await this.page.locator('.chat', { hasText: title }).locator('.badge').allTextContents())[0] ?? '0';
  }
  async close() {
    await this.context.close();
  }
}
async function friends(a_name, b_name) {
  const [a, b] = await Promise.all([Person.make(a_name), Person.make(b_name)]);
  await a.register();
  await b.register();
  await a.ask(b);
  await b.accept(a);
  await until(async () => {
    await a.go('Contacts');
    return (
      (await a.page.locator('.person', { hasText: b_name }).count()) > 0 &&
      (await a.page.locator('text=Sent requests').count()) === 0
    );
  }, 'the request is accepted');
  return [a, b];
}
const leads = (page) =>
  page.evaluate(async () => {
    const { held } = await navigator.locks.query();
    return held.some((lock) => lock.name.startsWith('hongyan-lead-'))
      ? held.find((lock) => lock.name.startsWith('hongyan-lead-')).clientId
      : '';
  });

async function accessible(page, where) {
  await page.waitForTimeout(300); // Rows of a virtual list are hidden until they are measured.
  await page.evaluate(axe);
  const result = await page.evaluate(() =>
    window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] }),
  );
  const bad = result.violations.map(
    (one) =>
      `${one.id}: ${one.nodes
        .slice(0, 3)
        .map((node) => `${node.html.slice(0, 140)} [${node.any[0]?.message ?? node.failureSummary}]`)
        .join(' | ')}`,
  );
  check(bad.length === 0, `${where} is accessible: ${bad.join('\n   ')}`);
  const cut = await clipped(page);
  check(cut.length === 0, `${where} shows all its text: ${cut.join('; ')}`);
}

const steps = {
  async 'two people become friends and chat'() {
    const [a, b] = await friends('Ann Lee', 'Bo 波波');
    await a.open_friend(b);
    await a.say('Hello Bo');
    await b.go('Chats');
    await until(async () => (await b.unread('Ann Lee')) === '1', 'one unread');
    await b.open('Ann Lee');
    await b.sees('Hello Bo');
    await until(async () => (await b.unread('Ann Lee')) === '0', 'it is read');
    await b.say('你好 😀');
    await a.sees('你好 😀');
    await a.all_sent();
    await a.page.reload();
    await a.sees('Hello Bo');
    await a.sees('你好 😀');
    check((await a.texts()).filter((one) => one === 'Hello Bo').length === 1, 'a reload doubles nothing');
    await b.page.reload();
    await b.sees('Hello Bo');
    check((await b.page.locator('.list .badge').count()) === 0, 'nothing is unread after the reload');
    await a.close();
    await b.close();
  },
  async 'what people write is never markup'() {
    const [a, b] = await friends('Mallory', 'Victim');
    await a.open_friend(b);
    const bad =
      '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script> javascript:alert(1) https://example.org/?q=<b>';
    await a.say(bad);
    await a.sees(bad);
    await b.open('Mallory');
    await b.sees(bad);
    check(
      await b.page.evaluate(
        () =>
          window.pwned === undefined &&
          document.querySelectorAll('.bubble img, .bubble script, .bubble b').length === 0,
      ),
      'it is text',
    );
    const links = await b.page
      .locator('.bubble a')
      .evaluateAll((list) => list.map((one) => [one.getAttribute('href'), one.rel, one.target]));
    check(
      links.length === 1 && links[0][0] === 'https://example.org/?q=' && links[0][1].includes('noopener'),
      `one safe link: ${JSON.stringify(links)}`,
    );
    await a.close();
    await b.close();
  },
  async 'a message is quoted, and the quote leads back to it'() {
    const [a, b] = await friends('Quinn', 'Rosa');
    await a.open_friend(b);
    await a.say('Which day?');
    await b.open('Quinn');
    await b.sees('Which day?');
    await b.page.locator('.bubble').last().click({ button: 'right' });
    await b.page.getByRole('menuitem', { name: 'Quote' }).click();
    await b.page.waitForSelector('.quote:has-text("Quoting Quinn")');
    check(await b.page.evaluate(() => document.activeElement.id === 'composer'), 'the answer can be written at once');
    await b.page.keyboard.press('Escape');
    check((await b.page.locator('.quote').count()) === 0, 'Escape takes the quote back');
    await b.page.locator('.bubble').last().click({ button: 'right' });
    await b.page.getByRole('menuitem', { name: 'Quote' }).click();
    await b.say('Friday');
    check((await b.page.locator('.quote').count()) === 0, 'a quote is for one message');
    await b.say('At noon');
    for (const one of [b, a]) {
      await one.sees('At noon');
      // The list may still be taking its measures, and shows nothing of a row meanwhile.
      await until(async () => /^(You|Quinn)\s+Which day\?$/.test(await one.page.locator('.quoted').innerText()), 'who and what is quoted');
      check((await one.page.locator('.quoted').count()) === 1, 'one message quotes');
    }
    await a.page.locator('.quoted').click();
    await a.page.waitForSelector('.flash .text:has-text("Which day?")');
    await a.all_sent();
    await accessible(a.page, 'a quote');
    await a.close();
    await b.close();
  },
  async 'a hidden page notifies once it was allowed to'() {
    const [a, b] = await friends('Nadia', 'Omar');
    await b.context.grantPermissions(['notifications'], { origin: server.origin });
    await b.page.evaluate(() => {
      window.told = [];
      window.Notification = class {
        static permission = 'granted';
        static requestPermission = async () => 'granted';
        constructor(title, { body }) {
          window.told.push(`${title}: ${body}`);
        }
      };
      Object.defineProperty(document, 'hidden', { get: () => window.away ?? false });
    });
    const told = () => b.page.evaluate(() => window.told.join('|'));
    await a.open_friend(b);
    const say = async (text, unread) => {
      await a.say(text);
      await b.go('Chats');
      await until(async () => (await b.unread('Nadia')) === unread, `${unread} unread`);
    };
    await b.page.evaluate(() => {
      window.away = true;
    });
    await say('Nobody asked', '1');
    check((await told()) === '', 'not before the person turned it on');
    await b.go('Settings');
    await b.page.locator('.list').getByText('Notifications', { exact: true }).click();
    await b.page.getByRole('switch').check();
    await say('Are you there?', '2');
    await until(async () => (await told()) === 'Nadia: Are you there?', 'the notification');
    await b.page.evaluate(() => {
      window.away = false;
    });
    await say('Now you look', '3');
    check((await told()) === 'Nadia: Are you there?', 'not while the page is looked at');
    check((await b.page.title()) === '(3) Hongyan', 'the title counts');
    await a.close();
    await b.close();
  },
  async 'remark, block and remove'() {
    const [a, b] = await friends('Cora', 'Dirk');
    await a.go('Contacts');
    await a.page.locator('.person', { hasText: 'Dirk' }).locator('.cover').click();
    await a.page.click('text=Remark name');
    await a.page.fill('dialog input', 'The captain');
    await a.page.click('dialog >> text=Save');
    await a.page.waitForSelector('h1:has-text("The captain")');
    await a.page.click('text=Remove friend');
    await a.page.getByRole('alertdialog').getByRole('button', { name: 'Remove friend' }).click();
    await a.page.waitForSelector('text=Add friend');
    await b.open_friend(a);
    await b.say('Can you hear me?');
    await b.page.waitForSelector('.failure');
    check((await b.page.locator('.failure').textContent()).includes('not friends'), 'the reason is shown');
    await b.page.locator('.retry').click();
    await b.page.waitForSelector('.failure');
    check(
      (await b.texts()).length === (await b.texts()).filter((one) => one === 'Can you hear me?').length,
      'one bubble only',
    );
    await a.close();
    await b.close();
  },
  async 'a group from its making to leaving it'() {
    const [a, b] = await friends('Gail', 'Hank');
    const c = await (await Person.make('Iris')).register();
    const d = await (await Person.make('Jack')).register();
    for (const other of [c, d]) {
      await a.ask(other);
      await other.accept(a);
    }
    await a.go('Chats');
    await a.page.click('[title="New chat"]');
    await a.page.getByRole('menuitem', { name: 'New group' }).click();
    await a.page.locator('dialog .input').first().fill('Geese');
    for (const one of ['Hank', 'Iris']) await a.page.locator('dialog .friends .row', { hasText: one }).click();
    await a.page.click('dialog >> text=Create');
    await a.page.waitForSelector('#composer');
    await a.say('Welcome all');
    for (const one of [b, c]) {
      await one.open('Geese');
      await one.sees('Welcome all');
      await one.say(`${one.nickname} is here`);
    }
    await a.sees('Hank is here');
    await a.sees('Iris is here');
    check((await a.page.locator('.status').textContent()).includes('3 members'), 'three members');
    await a.page.click('[title="Members"]');
    await a.page.click('.panel >> text=Rename');
    await a.page.fill('dialog input', 'Wild geese');
    await a.page.click('dialog >> text=Save');
    await b.page.waitForSelector('.who:has-text("Wild geese")');
    await a.page.click('.panel >> text=Add members');
    await a.page.locator('dialog .friends .row', { hasText: 'Jack' }).click();
    await a.page.locator('dialog').getByRole('button', { name: 'Add members' }).click();
    await d.open('Wild geese');
    await d.page.waitForSelector('#composer');
    await d.say('Jack is here');
    await a.sees('Jack is here');
    await until(
      async () => (await b.page.locator('.note').allTextContents()).some((one) => /Gail added Jack/.test(one)),
      'a line says who was added',
    );
    await a.page.locator('.panel').getByRole('button', { name: 'What Hank may do' }).click();
    await a.page.getByRole('menuitem', { name: 'Make an admin' }).click();
    await until(
      async () => (await d.page.locator('.note').allTextContents()).some((one) => /Gail made Hank an admin/.test(one)),
      'a line says who is an admin',
    );
    await a.page.locator('.panel').getByRole('button', { name: 'What Iris may do' }).click();
    await a.page.getByRole('menuitem', { name: 'Remove Iris' }).click();
    await a.page.getByRole('alertdialog').getByRole('button', { name: 'Remove Iris' }).click();
    await until(async () => (await a.page.locator('.panel li').count()) === 3, 'Iris is gone from the list');
    await b.page.click('[title="Members"]');
    await b.page.click('.panel >> text=Leave group');
    await b.page.getByRole('alertdialog').getByRole('button', { name: 'Leave group' }).click();
    await until(async () => (await a.page.locator('.panel li').count()) === 2, 'Hank is gone from the list');
    await a.say('Only two of us');
    await d.sees('Only two of us');
    await c.page.waitForTimeout(500);
    check(!(await c.texts()).includes('Only two of us'), 'who was removed gets nothing more');
    await c.page.waitForSelector('.blocker');
    for (const one of [a, b, c, d]) await one.close();
  },
  async 'a muted group shows its news and its unread'() {
    const [a, b] = await friends('Mia', 'Noel');
    await a.go('Chats');
    await a.page.click('[title="New chat"]');
    await a.page.getByRole('menuitem', { name: 'New group' }).click();
    await a.page.locator('dialog .input').first().fill('Loud');
    await a.page.locator('dialog .friends .row', { hasText: 'Noel' }).click();
    await a.page.click('dialog >> text=Create');
    await a.page.waitForSelector('#composer');
    await a.say('first');
    await b.open('Loud');
    await b.sees('first');
    await b.page.getByRole('button', { name: 'More' }).first().click();
    await b.page.getByRole('menuitem', { name: 'Mute' }).click();
    await b.page.waitForSelector('.chat .sign[title="Muted"]');
    for (const one of ['loud 1', 'loud 2']) await a.say(one); // The second waits for the next marker.
    await b.sees('loud 1');
    await b.sees('loud 2');
    await b.open_friend(a);
    for (const one of ['loud 3', 'loud 4', 'loud 5']) await a.say(one);
    await until(async () => (await b.unread('Loud')) === '3', 'three unread ones');
    await b.open('Loud');
    for (const one of ['loud 3', 'loud 4', 'loud 5']) await b.sees(one);
    const texts = await b.texts();
    check(texts.join() === 'first,loud 1,loud 2,loud 3,loud 4,loud 5', `each once and in order: ${texts.join()}`);
    await until(async () => (await b.unread('Loud')) === '0', 'they are read');
    await a.close();
    await b.close();
  },
  async 'a list that moves under the mouse loses no click'() {
    const [a, b] = await friends('Ada', 'Ben');
    const c = await (await Person.make('Cleo')).register();
    await a.ask(c);
    await c.accept(a);
    for (const other of [b, c]) {
      await other.open_friend(a);
      await other.say(`${other.nickname} was here`);
    }
    await a.go('Chats');
    const row = a.page.locator('.chat', { hasText: 'Ben was here' });
    await a.page.locator('.chat', { hasText: 'Cleo was here' }).waitFor();
    await row.waitFor();
    const top = () => a.page.locator('.chat').first().textContent();
    await until(async () => (await top()).includes('Cleo'), 'who wrote last is on top');
    const { x, y, width, height } = await row.boundingBox();
    await a.page.mouse.move(x + width / 2, y + height / 2);
    await a.page.mouse.down();
    await b.say('Ben again');
    await until(async () => (await top()).includes('Ben'), 'the list has moved');
    await a.page.mouse.up();
    await a.page.waitForSelector('.who:has-text("Ben")');
    await a.sees('Ben again');
    for (const one of [a, b, c]) await one.close();
  },
  async 'two tabs stay in step and hand over'() {
    const [a, b] = await friends('Kim', 'Lou');
    await a.open_friend(b);
    const second = await a.tab();
    await second.waitForSelector('nav');
    await a.say('from the first tab');
    await a.open('Lou', second);
    await a.sees('from the first tab', second);
    await a.say('from the second tab', second);
    await a.sees('from the second tab');
    await b.open('Kim');
    await b.sees('from the second tab');
    check((await b.texts()).length === 2, 'each once');
    // It stands next in the browser's own queue for the lock: nothing has to time out before it leads.
    const leader = await leads(second);
    const next = await second.evaluate(async () => {
      const { pending } = await navigator.locks.query();
      return pending.filter((lock) => lock.name.startsWith('hongyan-lead-')).map((lock) => lock.clientId);
    });
    check(next.length === 1 && leader !== '' && next[0] !== leader, `one waits behind the leader: ${next}, ${leader}`);
    await a.page.close();
    await until(async () => (await leads(second)) === next[0], 'the second tab leads');
    await b.say('to the new leader');
    await a.sees('to the new leader', second);
    await a.close();
    await b.close();
  },
  async 'offline it opens, shows what it has, and sends later'() {
    const [a, b] = await friends('Max', 'Nell');
    await a.open_friend(b);
    await a.say('before the tunnel');
    await a.sees('before the tunnel');
    await a.all_sent();
    await a.page.evaluate(() => navigator.serviceWorker.ready.then(() => true));
    await a.page.reload();
    await until(
      () => a.page.evaluate(() => navigator.serviceWorker.controller !== null),
      'the service worker controls the page',
    );
    await a.context.setOffline(true);
    await server.kill(); // Offline in Chromium does not cut WebSockets to this machine.
    await a.page.reload();
    await a.page.waitForSelector('.net');
    await a.sees('before the tunnel');
    await a.say('first in the tunnel');
    await a.say('second in the tunnel');
    await a.sees('second in the tunnel'); // Shown means stored.
    check((await a.page.locator('.state[aria-label="Sent"]').count()) === 1, 'the new ones are not sent');
    await a.page.reload();
    await a.sees('second in the tunnel');
    await server.again();
    await a.context.setOffline(false);
    await b.open('Max');
    await b.sees('second in the tunnel');
    const texts = await b.texts();
    check(
      texts.join('|') === 'before the tunnel|first in the tunnel|second in the tunnel',
      `in order, once: ${texts.join('|')}`,
    );
    await a.all_sent();
    check((await a.page.locator('.net').count()) === 0, 'the banner is gone');
    await a.close();
    await b.close();
  },
  async 'the server dies and comes back, nothing is lost or doubled'() {
    const [a, b] = await friends('Olga', 'Pete');
    await a.open_friend(b);
    const sent = [];
    const say = async (text) => {
      sent.push(text);
      await a.say(text);
    };
    for (let i = 0; i < 5; i += 1) await say(`before ${i}`);
    await server.kill();
    for (let i = 0; i < 5; i += 1) await say(`while away ${i}`);
    await a.sees('while away 4');
    await server.again();
    await b.open('Olga');
    await b.sees('while away 4');
    for (let i = 0; i < 5; i += 1) {
      await say(`after ${i}`);
      if (i === 2) {
        await server.kill();
        await server.again();
      }
    }
    await b.sees('after 4');
    await a.all_sent();
    for (const one of [a, b]) {
      check(
        (await one.texts()).join('|') === sent.join('|'),
        `${one.nickname} has all once in order: ${(await one.texts()).join('|')}`,
      );
      await one.page.reload();
      await one.sees('after 4');
      await until(
        async () => {
          const now = (await one.texts()).join('|');
          if (now !== sent.join('|')) throw new Error(now);
          return true;
        },
        `${one.nickname} has the same after a reload`,
        3000,
      );
    }
    await a.close();
    await b.close();
  },
  async 'history above the fold comes when scrolled to, and stays where it was'() {
    const [a, b] = await friends('Rick', 'Sue');
    await a.open_friend(b);
    for (let i = 0; i < 130; i += 1) await a.say(`line ${i}`);
    await a.sees('line 129');
    await a.all_sent();
    // A new device has only the last page; the rest is history.
    const other = await Person.make('Sue');
    Object.assign(other, { name: b.name, password: b.password });
    await other.login();
    await until(async () => (await other.unread('Rick')) === '130', 'the new device has the list');
    await other.open('Rick');
    await other.sees('line 129');
    check(
      await other.page.evaluate(() => {
        const view = document.querySelector('.messages');
        return view.scrollHeight - view.scrollTop - view.clientHeight < 5;
      }),
      'it opens at the newest',
    );
    const box = other.page.locator('.messages');
    for (let i = 0; i < 60 && !(await other.texts()).includes('line 0'); i += 1) {
      await box.evaluate((view) => {
        view.scrollTop = Math.max(0, view.scrollTop - 500);
      });
      await other.page.waitForTimeout(120);
    }
    await other.sees('line 0');
    const shown = (await other.texts()).map((one) => Number(one.slice(5)));
    check(
      shown.every((one, at) => at === 0 || one === shown[at - 1] + 1),
      `no gap, none twice: ${shown}`,
    );
    const top = await other.page
      .locator('.bubble', { hasText: /^line 5\b/ })
      .first()
      .boundingBox();
    await b.open('Rick');
    await b.say('news while reading');
    await other.page.waitForTimeout(600);
    const then = await other.page
      .locator('.bubble', { hasText: /^line 5\b/ })
      .first()
      .boundingBox();
    check(top && then && Math.abs(top.y - then.y) < 3, `what is read does not move (${top?.y} ${then?.y})`);
    await other.page.click('[aria-label="Newest messages"]');
    await other.sees('news while reading');
    await a.close();
    await b.close();
    await other.close();
  },
  async 'drafts, keys and the switcher'() {
    const [a, b] = await friends('Tina', 'Ulf');
    await a.open_friend(b);
    await a.page.fill('#composer', 'half a thought');
    await a.page.keyboard.press('Escape');
    await until(
      async () => (await a.page.locator('.chat', { hasText: 'Ulf' }).textContent()).includes('half a thought'),
      'the draft is in the list',
    );
    await a.page.reload();
    await a.page.waitForSelector('.chat');
    await a.page.keyboard.press('Control+k');
    await a.page.locator('dialog input').waitFor();
    await a.page.keyboard.type('ulf');
    await a.page.locator('dialog [role=option]', { hasText: 'Ulf' }).first().waitFor();
    await a.page.keyboard.press('Enter');
    await a.page.waitForSelector('#composer');
    check((await a.page.inputValue('#composer')) === 'half a thought', 'the draft is back');
    await a.page.focus('#composer');
    await a.page.keyboard.press('End');
    await a.page.keyboard.press('Shift+Enter');
    await a.page.keyboard.type('and the other half');
    await a.page.keyboard.press('Enter');
    await a.sees('half a thought\nand the other half');
    check((await a.page.inputValue('#composer')) === '', 'the box is empty');
    // Forwarding to oneself.
    await a.page.locator('.bubble').last().click({ button: 'right' });
    await a.page.getByRole('menuitem', { name: 'Forward' }).click();
    await a.page.locator('dialog input').fill('notes');
    await a.page.locator('dialog [role=option]', { hasText: 'Notes to self' }).first().click();
    await a.page.waitForSelector('.who:has-text("Notes to self")');
    await a.sees('half a thought\nand the other half');
    await a.open('Ulf');
    await a.page.fill('#composer', '');
    await a.page.focus('#composer');
    await a.page.keyboard.type('typing');
    await b.go('Chats');
    await until(
      async () => (await b.page.locator('.chat', { hasText: 'Tina' }).textContent()).includes('typing'),
      'the other sees that somebody types',
      8000,
    ).catch((error) => {
      if (!command) throw error;
    });
    await a.close();
    await b.close();
  },
  async 'profile, password, devices and logging out'() {
    const [a, b] = await friends('Vera', 'Walt');
    await a.go('Settings');
    await a.page.click('.list >> text=Profile');
    await a.page.locator('.column .input').first().fill('Vera the Great');
    await a.page.locator('.colors label').nth(3).click();
    await a.page.click('.column >> text=Save');
    await b.go('Contacts');
    await b.page.reload();
    await b.page.waitForSelector('nav');
    await b.go('Contacts');
    await b.page.locator('.person', { hasText: 'Vera' }).locator('.cover').click(); // Looking asks for what is new.
    await b.page.waitForSelector('h1:has-text("Vera the Great")');
    // Another device of hers, which she logs out.
    const phone = await Person.make('Vera');
    Object.assign(phone, { name: a.name, password: a.password });
    await phone.login();
    await a.page.click('.list >> text=Devices');
    await until(async () => {
      await a.page.click('.list >> text=About');
      await a.page.click('.list >> text=Devices');
      return (await a.page.locator('.device').count()) === 2;
    }, 'two devices');
    await a.page.locator('.device').nth(1).getByRole('button').click();
    await a.page.getByRole('alertdialog').getByRole('button', { name: 'Log out' }).click();
    await phone.page.waitForSelector('text=This device was logged out');
    await a.page.click('.list >> text=Security');
    await a.page.click('.column >> text=Change password');
    const fresh = `${a.password} again`;
    await a.page.locator('dialog [autocomplete=current-password]').fill(a.password);
    for (const at of [0, 1]) await a.page.locator('dialog [autocomplete=new-password]').nth(at).fill(fresh);
    await a.page.click('dialog >> text=Save');
    await until(async () => (await a.page.locator('dialog').count()) === 0, 'the password is changed');
    a.password = fresh;
    await a.page.reload();
    await a.page.waitForSelector('nav');
    await a.go('Settings');
    await a.page.click('.list >> text=Security');
    await a.page.click('.column >> text=Log out');
    await a.page.getByRole('alertdialog').getByRole('button', { name: 'Log out' }).click();
    await a.page.waitForSelector('[name=username]');
    await until(
      () =>
        a.page.evaluate(
          async () => (await indexedDB.databases()).length === 0 && localStorage.getItem('hongyan.session') === null,
        ),
      'nothing of the account is left',
    );
    await a.login();
    await a.close();
    await b.close();
    await phone.close();
  },
  async 'a wrong password and a taken name are said plainly'() {
    const a = await (await Person.make('Xena')).register();
    const b = await Person.make('Yuri');
    await b.page.fill('[name=username]', a.name);
    await b.page.fill('[name=password]', 'not the password');
    await b.page.click('form button.primary');
    await b.page.waitForSelector('text=The user name or the password is wrong.');
    await b.page.locator('form .link').click();
    await b.page.fill('[name=password]', b.password);
    await b.page.click('form button.primary');
    await b.page.waitForSelector('text=Somebody has this user name already.');
    await a.close();
    await b.close();
  },
  async 'every page is accessible and cuts no text'() {
    for (const dark of [false, true]) {
      const options = { colorScheme: dark ? 'dark' : 'light' };
      const a = await Person.make('Zoe Adams', options);
      const where = dark ? 'dark' : 'light';
      await accessible(a.page, `${where} login`);
      await a.register();
      await accessible(a.page, `${where} empty`);
      const b = await (await Person.make('Bea', options)).register();
      await b.ask(a);
      await a.go('Contacts');
      await a.page.waitForSelector('text=Friend requests');
      await accessible(a.page, `${where} requests`);
      await a.accept(b);
      await a.open_friend(b);
      await a.say('https://example.org and words');
      await b.open('Zoe');
      await b.say('Words back');
      await a.sees('Words back');
      await accessible(a.page, `${where} chat`);
      await a.page.keyboard.press('Control+k');
      await a.page.waitForSelector('dialog');
      await accessible(a.page, `${where} switcher`);
      await a.page.keyboard.press('Escape');
      await a.go('Contacts');
      await a.page.locator('.person', { hasText: 'Bea' }).first().locator('.cover').click();
      await accessible(a.page, `${where} contact`);
      await a.go('Settings');
      for (const one of ['Profile', 'Appearance', 'Devices', 'Security', 'Keyboard', 'About']) {
        await a.page.locator('.list').getByText(one, { exact: true }).click();
        await a.page.waitForTimeout(150);
        await accessible(a.page, `${where} settings ${one}`);
      }
      for (const width of [320, 719, 720, 1024, 2560]) {
        await a.page.setViewportSize({ width, height: 700 });
        for (const hash of ['#/chats', '#/contacts', '#/settings', '#/settings/profile', '#/settings/appearance']) {
          await a.page.evaluate((to) => {
            location.hash = to;
          }, hash);
          await a.page.waitForTimeout(80);
          const cut = await clipped(a.page);
          check(cut.length === 0, `${where} ${hash} at ${width}: ${cut.join('; ')}`);
        }
      }
      await a.close();
      await b.close();
    }
  },
};
const k_integrator = 'an integrator’s ticket in the fragment logs in';
steps[k_integrator] = async () => {
  const ticket = await server.ticket(`t${stamp}`, 'Ticket Holder');
  if (!ticket) {
    console.log('     (this server has no server port)');
    return;
  }
  const context = await browser.newContext({ viewport: { width: 1200, height: 760 }, locale: 'en-US' });
  const page = await context.newPage();
  page.on('pageerror', (error) => problems.push(error.message));
  await page.goto(`${server.origin}/#ticket=${ticket}`);
  await page.waitForSelector('nav');
  check(!page.url().includes('ticket'), 'the ticket does not stay in the address');
  if (await server.system_message(`t${stamp}`, 'Your order has left.')) {
    await page.locator('.chat').first().click();
    await until(
      async () => (await page.locator('.bubble .text').allTextContents()).includes('Your order has left.'),
      'the message of the system is there',
    );
    check((await page.locator('#composer').count()) === 0, 'nobody can answer the system');
  }
  await page.reload();
  await page.waitForSelector('nav');
  await context.close();
};

// ---- a message's way from a long link through the browser and back to one
// An account on the long link, in a process of its own (tests/lib/long_link_peer.py).
class Peer {
  static async make(nickname) {
    const one = new Peer();
    one.nickname = nickname;
    one.name = `u${stamp}${people++}`;
    const script = new URL('../../../tests/lib/long_link_peer.py', import.meta.url).pathname;
    const words = [script, server.long_link, one.name, `plain fox ${stamp} jumps`, nickname];
    one.child = spawn('python3', words, { stdio: ['pipe', 'pipe', 'inherit'] });
    one.lines = createInterface({ input: one.child.stdout })[Symbol.asyncIterator]();
    one.uin = (await one.answer()).uin;
    return one;
  }
  async answer() {
    const { value, done } = await this.lines.next();
    check(!done, `the long link of ${this.nickname} goes on`);
    const answer = JSON.parse(value);
    check(!answer.error, `${this.nickname}: ${answer.error}`);
    return answer;
  }
  ask(order) {
    this.child.stdin.write(`${JSON.stringify(order)}\n`);
    return this.answer();
  }
  async close() {
    const gone = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.stdin.end();
    await gone;
  }
}
// The same bytes for the same seed, which a failure prints.
function dice(seed) {
  let count = 0;
  const block = () => createHash('sha256').update(`${seed} ${count++}`).digest();
  return {
    bytes(size) {
      const blocks = [];
      for (let have = 0; have < size; have += 32) blocks.push(block());
      return Buffer.concat(blocks).subarray(0, size);
    },
    below: (limit) => block().readUInt32LE(0) % limit,
  };
}
// One protobuf field number 4000 of bytes, which no message of the contract has.
function unknown_field(value) {
  const varint = (number) => {
    const out = [];
    for (; number >= 128; number >>>= 7) out.push((number & 127) | 128);
    return Buffer.from([...out, number]);
  };
  return Buffer.concat([varint((4000 << 3) | 2), varint(value.length), value]);
}
function strange_messages(seed) {
  const { bytes, below } = dice(seed);
  const list = [];
  const sizes = [0, 1, 255, 4096, below(4097), below(4097)];
  for (const [at, size] of sizes.entries()) {
    const content = Buffer.from(bytes(size));
    content.set([0, 0xff, 0xc3, 0x28, 0].slice(0, size)); // NULs and what no UTF-8 has.
    list.push({
      kind: 60001,
      content: content.toString('base64'),
      digest: at === 0 ? '' : `Strange ${at} ${String.fromCodePoint(0x4e00 + below(20000))}\u202e<b>`,
      flags: below(4), // no_unread and no_push; the others say whether a list or a log takes it.
      ext: bytes(at === 1 ? 1024 : below(1025)).toString('base64'),
    });
  }
  // A text of a newer client: fields in ext and in the Message itself that this version does not know.
  const field = unknown_field(bytes(40));
  list.push({
    kind: 1,
    content: Buffer.from('Known, with more').toString('base64'),
    digest: 'Known, with more',
    flags: 0,
    ext: field.toString('base64'),
    extra: field.toString('base64'),
  });
  return list;
}
const bare = ({ kind, content = '', digest = '', flags = 0, ext = '' }) =>
  JSON.stringify({ kind, content, digest, flags, ext });
// What the page keeps on its disk of these messages, oldest first.
const stored = (page, sender) =>
  page.evaluate(async (from) => {
    const { name } = (await indexedDB.databases()).find((one) => /^hongyan-\d+$/.test(one.name));
    const done = (request) =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    const db = await done(indexedDB.open(name));
    const rows = await done(db.transaction('messages').objectStore('messages').getAll());
    db.close();
    return rows
      .filter((row) => row.message.sender === from && row.message.kind !== 2)
      .sort((a, b) => a.pos - b.pos)
      .map((row) => row.message);
  }, sender);
const k_chain = 'kinds and fields nobody knows go through the browser unchanged';
steps[k_chain] = async () => {
  if (!command) {
    console.log('     (the mock has no long link)');
    return;
  }
  const seed = process.env.HY_SEED ?? randomBytes(8).toString('hex');
  const strange = strange_messages(seed);
  const [web, from, to] = [
    await (await Person.make('Middle')).register(),
    await Peer.make('Long From'),
    await Peer.make('Long To'),
  ];
  const { page } = web;
  try {
    for (const peer of [from, to]) {
      await web.ask(peer);
      const uin = await page.evaluate(() => JSON.parse(localStorage.getItem('hongyan.session')).uin);
      await peer.ask({ do: 'accept', uin });
      peer.other = uin;
    }
    for (const message of strange) await from.ask({ do: 'send', to: from.other, message });
    await web.open('Long From');
    await web.sees('Known, with more');
    check(
      JSON.stringify((await stored(page, from.uin)).map(bare)) === JSON.stringify(strange.map(bare)),
      'IndexedDB has every byte that was sent',
    );
    const others = page.locator('.bubble.other');
    check((await others.count()) === strange.length - 1, 'every unknown kind has its bubble');
    for (const text of await others.locator('small').allTextContents())
      check(text === 'This version can’t show this kind of message.', 'an unknown kind says so');
    check((await page.locator('.bubble b').count()) === 0, 'a digest is never markup');

    // Forwarded by keyboard alone, the second half without a network.
    for (let at = 0; at < strange.length; at += 1) {
      if (at === Math.ceil(strange.length / 2)) await web.context.setOffline(true);
      await web.open('Long From');
      await until(async () => (await page.locator('.messages.placed .act').count()) === strange.length, 'all are there');
      for (const one of await page.locator('.act').all()) await one.waitFor(); // Rows are hidden until they are measured.
      await page.locator('.messages').focus();
      await page.keyboard.press('Enter'); // The newest; the arrows go from one to the next.
      for (let up = strange.length - 1; up > at; up -= 1) await page.keyboard.press('ArrowUp');
      await page.keyboard.press('Enter');
      await page.getByRole('menuitem', { name: 'Forward' }).waitFor();
      for (let tries = 0; (await page.evaluate(() => document.activeElement.textContent.trim())) !== 'Forward'; tries++) {
        check(tries < 5, 'the menu has Forward');
        await page.keyboard.press('ArrowDown');
      }
      await page.keyboard.press('Enter');
      await page.waitForSelector('#hits');
      await page.keyboard.type('Long To');
      await page.waitForSelector('#hit-0:has-text("Long To")');
      await page.keyboard.press('Enter');
      await page.waitForSelector('.who:has-text("Long To")');
    }
    await until(
      async () => (await page.locator('.bubble').count()) === strange.length,
      'what was forwarded offline waits in the chat',
    );
    await web.context.setOffline(false);
    await web.all_sent();
    const { messages } = await to.ask({ do: 'wait', count: strange.length });
    const [got, wanted_ones] = [messages.map(bare), strange.map(bare)];
    for (const [at, one] of wanted_ones.entries())
      check(got[at] === one, `message ${at} arrives as it was sent: ${got[at]?.slice(0, 300)}, not ${one.slice(0, 300)}`);
    check(got.length === wanted_ones.length, 'each arrives once');
  } catch (error) {
    error.message += ` (HY_SEED=${seed})`;
    throw error;
  } finally {
    await from.close();
    await to.close();
  }
  await web.close();
};

server = command ? new Real() : new Mock();
await server.start();
browser = await launch();
const wanted = argv.filter((one) => !one.startsWith('--'));
let failures = 0;
let passed = 0;
for (const [name, step] of Object.entries(steps)) {
  if (wanted.length > 0 && !wanted.some((one) => name.includes(one))) continue;
  const start = Date.now();
  problems.length = 0;
  try {
    await step();
    check(problems.length === 0, `no errors in the pages: ${problems.join('; ')}`);
    passed += 1;
    console.log(`ok   ${name} (${((Date.now() - start) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failures += 1;
    console.log(`FAIL ${name}\n     ${error.stack}${problems.map((one) => `\n     in the page: ${one}`).join('')}`);
    let at = 0;
    for (const context of browser.contexts()) {
      for (const page of context.pages())
        await page.screenshot({ path: `${out}fail-${name.replace(/\W+/g, '-')}-${at++}.png` }).catch(() => {});
      await context.close().catch(() => {});
    }
    if (server.dead) await server.again().catch((again) => console.log(`     ${again.message}`));
  }
}
await browser.close();
await server.stop();
console.log(`${passed} passed, ${failures} failed`);
process.exit(failures === 0 ? 0 : 1);
