// The ten scenes that are kept as pictures, made against the mock with a clock that stands still.
import { MockServer } from './mock_server.mjs';

export const k_now = Date.UTC(2026, 2, 18, 10, 24, 0);
const minute = 60_000;
const day = 24 * 60 * minute;

class Scene {
  constructor(browser, server, origin) {
    this.browser = browser;
    this.server = server;
    this.origin = origin;
  }
  async page(user, { width = 1280, height = 800, locale = 'en-US', dark = false } = {}) {
    const context = await this.browser.newContext({
      viewport: { width, height },
      locale,
      timezoneId: 'UTC',
      colorScheme: dark ? 'dark' : 'light',
      reducedMotion: 'reduce',
      serviceWorkers: 'block',
    });
    const page = await context.newPage();
    this.errors = [];
    page.on('pageerror', (error) => this.errors.push(error.message));
    await page.clock.setFixedTime(k_now);
    const session = this.server.open_session(user, {
      id: Buffer.alloc(16, 7).toString('base64'),
      model: 'Chrome',
      os: 'Linux',
    });
    await page.addInitScript(
      (saved) => {
        localStorage.setItem('hongyan.session', saved);
        localStorage.setItem('hongyan.device', 'BwcHBwcHBwcHBwcHBwcHBw==');
      },
      JSON.stringify({
        uin: session.uin,
        ticket: session.ticket,
        refresh: session.refresh,
        epoch: session.deviceEpoch,
      }),
    );
    await page.goto(this.origin);
    await page.waitForSelector('nav');
    return page;
  }
  async open(page, title) {
    await page.locator('.chat', { hasText: title }).first().click();
    await page.waitForSelector('.messages.placed, .hello');
    await this.settle(page);
  }
  async settle(page) {
    await page.evaluate(() => document.fonts.ready);
    await page.waitForTimeout(700);
  }
}

function person(server, name, nickname, more) {
  return server.make_user(name, 'a password', nickname, more);
}
function friends(server, me, list, at = k_now - 40 * day) {
  return list.map(([name, nickname, more]) => {
    const one = person(server, name, nickname, more);
    server.time = at;
    server.befriend(me, one);
    return one;
  });
}
// A small town of chats, the same in every picture.
function town(server, me, zh = false) {
  const [mia, sam, lin, noor, otto, wei] = friends(
    server,
    me,
    zh
      ? [
          ['mia', '米娅', { signature: '慢慢来' }],
          ['sam', '沈一鸣'],
          ['lin', '林晓'],
          ['noor', '努尔'],
          ['otto', '欧阳修远'],
          ['wei', '魏然'],
        ]
      : [
          ['mia', 'Mia Larsen', { signature: 'Slow and steady' }],
          ['sam', 'Sam Okafor'],
          ['lin', '林晓'],
          ['noor', 'Noor Haddad'],
          ['otto', 'Otto Brandt'],
          ['wei', 'Wei Zhang'],
        ],
  );
  const say = (from, to, text, before) => {
    server.time = k_now - before;
    server.say(from, to, text, k_now - before);
  };
  const words = zh
    ? [
        '周六还去爬山吗？',
        '去！天气预报说是晴天 ☀️',
        '太好了，我带三明治和一壶茶。',
        '那我带水果。几点出发？',
        '七点半在地铁口见？',
        '这里有路线：https://example.org/trail/82',
        '看着不错，来回大概四小时。',
        '别忘了带外套，山顶风大。',
        '好的，周六见！',
        '👋',
      ]
    : [
        'Are we still on for the hike on Saturday?',
        'Yes! The forecast says sun ☀️',
        'Great, I’ll bring sandwiches and a flask of tea.',
        'Then I’ll bring fruit. When do we leave?',
        'Half past seven at the station?',
        'Here is the route: https://example.org/trail/82',
        'Looks good, about four hours there and back.',
        'Bring a jacket, it is windy at the top.',
        'Will do. See you on Saturday!',
        '👋',
      ];
  words.forEach((text, at) =>
    say(
      at % 4 < 2 === at < 8 ? mia : me,
      at % 4 < 2 === at < 8 ? me : mia,
      text,
      (at < 4 ? day : 0) + (60 - at * 5) * minute,
    ),
  );
  say(sam, me, zh ? '文件我看过了，写得很清楚。' : 'I read the draft, it is very clear.', 3 * 60 * minute);
  say(
    sam,
    me,
    zh ? '只有第三段我想再谈谈。' : 'Only the third part I would like to talk about.',
    3 * 60 * minute - minute,
  );
  say(me, lin, zh ? '谢谢你的礼物！' : '谢谢你的礼物！', 26 * 60 * minute);
  say(noor, me, zh ? '照片我晚点发给你。' : 'I’ll send you the pictures later.', 2 * day + 5 * minute);
  say(otto, me, zh ? '收到。' : 'Got it.', 5 * day);
  say(me, wei, zh ? '下个月见。' : 'See you next month.', 20 * day);
  server.time = k_now - 100 * minute;
  const group = server.make_group(mia, zh ? '周末徒步' : 'Weekend hikers', [me.uin, sam.uin, lin.uin]);
  say(mia, group.id, zh ? '谁带相机？' : 'Who brings the camera?', 90 * minute);
  say(lin, group.id, zh ? '我带。' : 'I do.', 88 * minute);
  return { mia, sam, lin, noor, otto, wei, group };
}
const long =
  'Dear friend, I am writing this letter as one writes when there is time: about the house, the garden and the long way home. ' +
  'The geese came over this morning, forty of them in a crooked line, and I thought of the old story in which a goose carries a letter across the mountains. ';

export const scenes = {
  empty: async (s) => {
    const page = await s.page(person(s.server, 'ann', 'Ann Lee'));
    await page.waitForSelector('text=No chats yet');
    return page;
  },
  'one-chat': async (s) => {
    const me = person(s.server, 'ann', 'Ann Lee');
    town(s.server, me);
    const page = await s.page(me);
    await s.open(page, 'Mia Larsen');
    return page;
  },
  '300-chats': async (s) => {
    const me = person(s.server, 'ann', 'Ann Lee');
    const first = [
      'Ada',
      'Ben',
      'Cleo',
      'Dan',
      'Elif',
      'Finn',
      'Gia',
      'Hugo',
      'Ines',
      'Jun',
      'Kofi',
      'Lena',
      'Milo',
      'Nina',
      '小雨',
      'Pia',
      'Quin',
      'Rosa',
      'Teo',
      'Uma',
    ];
    const last = [
      'Adler',
      'Bakker',
      'Costa',
      'Dietz',
      'Eng',
      'Farah',
      'Gruber',
      'Haas',
      'Ito',
      'Jansen',
      'Kaya',
      'Lund',
      'Meyer',
      'Novak',
      'Ortiz',
    ];
    for (let i = 0; i < 300; i += 1) {
      const [one] = friends(
        s.server,
        me,
        [[`friend${i}`, `${first[i % 20]} ${last[i % 15]}`]],
        k_now - (320 + i) * day,
      );
      const time = k_now - i * i * 11 * minute - (i % 7) * minute;
      s.server.time = time;
      const count = i === 4 ? 1200 : i % 5 === 0 ? (i % 13) + 1 : 1;
      for (let n = 0; n < count; n += 1)
        s.server.say(
          i % 5 === 0 || i === 4 ? one : me,
          i % 5 === 0 || i === 4 ? me : one,
          `Message ${count - n} about this and that`,
          time - (count - n) * 1000,
        );
    }
    const pinned = me.convs.get(`1:${me.uin.slice(0, -1)}2`);
    if (pinned) pinned.pinRank = '5';
    me.convs.get([...me.convs.keys()][2]).muteUntilMs = '4102444800000';
    const page = await s.page(me, { height: 900 });
    await page.waitForSelector('.chat');
    return page;
  },
  'long-names': async (s) => {
    const me = person(s.server, 'ann', 'Ann Lee');
    const list = friends(s.server, me, [
      [
        'pablo',
        'Pablo Diego José Francisco de Paula Juan Nepomuceno María de los Remedios Cipriano de la Santísima Trinidad Ruiz y Picasso',
      ],
      ['nospace', 'Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft'],
      ['zalgo', '名字很长很长很长很长很长很长很长很长很长很长很长很长很长很长很长很长的人'],
      ['emoji', '🌸🌼🌻🌺🥀🌹🌷🌸🌼🌻🌺🥀🌹🌷🌸🌼🌻🌺🥀🌹🌷🌸🌼🌻'],
    ]);
    s.server.time = k_now - 10 * minute;
    const group = s.server.make_group(
      me,
      'The society for the preservation of very long group names that nobody would ever type on purpose',
      list.map((one) => one.uin),
    );
    list.forEach((one, at) =>
      s.server.say(
        one,
        me,
        'Hello from somebody with a long name, and a long first line that has to end somewhere.',
        k_now - (20 + at) * minute,
      ),
    );
    list.forEach((one, at) =>
      s.server.say(
        one,
        group.id,
        at === 1
          ? 'https://example.org/averyveryverylongaddresswithoutanyplacetobreakitatallbecausenobodythoughtofit/index.html?query=somethinglong'
          : 'Hello everybody',
        k_now - (9 - at) * minute,
      ),
    );
    const page = await s.page(me);
    await s.open(page, 'The society');
    await page.click('[title="Members"]');
    await s.settle(page);
    return page;
  },
  rtl: async (s) => {
    const me = person(s.server, 'ann', 'Ann Lee');
    const [maryam, dov] = friends(s.server, me, [
      ['maryam', 'مريم العلي'],
      ['dov', 'דב כהן'],
    ]);
    const say = (from, to, text, before) => s.server.say(from, to, text, k_now - before * minute);
    say(dov, me, 'נתראה מחר בשעה 9:30', 50);
    say(maryam, me, 'مرحبا! كيف حالك اليوم؟', 30);
    say(me, maryam, 'أنا بخير، شكرا لك', 28);
    say(maryam, me, 'هل قرأت كتاب «Wild Geese» الذي أرسلته لك؟ صفحة 42 مهمة (جدا).', 26);
    say(me, maryam, 'Yes, page 42: كتاب جميل!', 24);
    say(maryam, me, 'https://example.org/كتاب', 20);
    const page = await s.page(me);
    await s.open(page, 'مريم');
    return page;
  },
  'long-message': async (s) => {
    const me = person(s.server, 'ann', 'Ann Lee');
    const { mia } = town(s.server, me);
    s.server.say(mia, me, long.repeat(10).slice(0, 2000).trimEnd(), k_now - 3 * minute);
    s.server.say(me, mia, 'What a letter! I will answer properly tonight.', k_now - minute);
    const page = await s.page(me);
    await s.open(page, 'Mia Larsen');
    return page;
  },
  'failed-send': async (s) => {
    const me = person(s.server, 'ann', 'Ann Lee');
    const { mia } = town(s.server, me);
    const page = await s.page(me);
    await s.open(page, 'Mia Larsen');
    s.server.set_contact(mia, me.uin, { state: 0 });
    await page.fill('#composer', 'Are you still there?');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.failure');
    return page;
  },
  offline: async (s) => {
    const me = person(s.server, 'ann', 'Ann Lee');
    town(s.server, me);
    const page = await s.page(me);
    await s.open(page, 'Mia Larsen');
    s.server.refuse(true);
    await page.context().setOffline(true);
    await page.waitForSelector('.net');
    await page.fill('#composer', 'I write this in a tunnel.');
    await page.keyboard.press('Enter');
    await page.fill('#composer', 'It is sent when I am out.');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.bubble >> text=It is sent');
    return page;
  },
  'narrow-360': async (s) => {
    const me = person(s.server, 'ann', 'Ann Lee');
    town(s.server, me);
    const page = await s.page(me, { width: 360, height: 740 });
    await s.open(page, 'Mia Larsen');
    return page;
  },
  'dark-chinese': async (s) => {
    const me = person(s.server, 'ann', '安然');
    town(s.server, me, true);
    const page = await s.page(me, { locale: 'zh-CN', dark: true });
    await s.open(page, '米娅');
    return page;
  },
};

// Makes one scene and gives the page to `work`; whatever happens, everything is closed.
export async function with_scene(browser, name, work) {
  const server = new MockServer();
  server.time = k_now;
  server.now = () => server.time;
  const origin = await server.listen();
  const scene = new Scene(browser, server, origin);
  let page;
  try {
    page = await scenes[name](scene);
    await scene.settle(page);
    return await work(page, scene);
  } finally {
    await page?.context().close();
    await server.close();
  }
}
// Text that does not fit its box without saying so by an ellipsis, and pages wider than the window.
export function clipped(page) {
  return page.evaluate(() => {
    const bad = [];
    if (document.documentElement.scrollWidth > innerWidth)
      bad.push(`page is ${document.documentElement.scrollWidth} wide`);
    for (const element of document.querySelectorAll('body *')) {
      const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
      if (!own || element.closest('.hidden-text')) continue;
      const style = getComputedStyle(element);
      const box = element.getBoundingClientRect();
      if (box.width === 0 || style.visibility === 'hidden') continue;
      const cuts = style.overflowX === 'hidden' || style.overflowY === 'hidden';
      const says = style.textOverflow === 'ellipsis' || style.webkitLineClamp !== 'none';
      if (
        cuts &&
        !says &&
        (element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 1)
      )
        bad.push(`${element.className}: ${element.textContent.slice(0, 40)}`);
      if (box.left < -1 || box.right > innerWidth + 1)
        bad.push(`outside: ${element.className}: ${element.textContent.slice(0, 40)}`);
    }
    return bad;
  });
}
