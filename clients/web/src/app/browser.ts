// The doors to the browser that the engine is given; tests give others.
import type { Channel, Locks } from '../tabs/tabs';
import type { SessionKeeper } from '../wire/session';
import type { EngineDeps } from './engine';
import { settings } from './i18n.svelte';

const k_platform_web = 3;

function browser_name(): string {
  const agent = navigator.userAgent;
  const found = /(Edg|OPR|Firefox|Chrome|Safari)\/(\d+)/.exec(
    agent.includes('Edg/') ? agent.slice(agent.indexOf('Edg/')) : agent,
  );
  const names: Record<string, string> = { Edg: 'Edge', OPR: 'Opera' };
  return found ? `${names[found[1]!] ?? found[1]} ${found[2]}` : 'Browser';
}
function system_name(): string {
  const agent = navigator.userAgent;
  return /Android|iPhone|iPad|Windows|Mac OS X|CrOS|Linux/.exec(agent)?.[0]?.replace('Mac OS X', 'macOS') ?? '';
}
export function engine_deps(sessions: SessionKeeper): EngineDeps {
  const locks = navigator.locks as LockManager | undefined;
  return {
    origin: location.origin,
    sessions,
    fetch: (input, init) => fetch(input, init),
    open_socket: (url) => new WebSocket(url),
    exclusive: async (name, work) =>
      locks ? ((await locks.request(name, work)) as Awaited<ReturnType<typeof work>>) : work(),
    device: () => ({
      id: sessions.device_id(),
      platform: k_platform_web,
      model: browser_name(),
      os: system_name(),
      appVersion: '0.1.0',
      locale: settings.language,
      timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    }),
    locale: () => settings.language,
    locks: (locks as Locks | undefined) ?? null,
    channel: (name) => ('BroadcastChannel' in globalThis ? (new BroadcastChannel(name) as Channel) : null),
  };
}
