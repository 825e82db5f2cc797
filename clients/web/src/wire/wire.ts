// Every command a tab sends goes through here: over the link when this tab has one, else as an HTTP POST. Adds the
// base of the request, keeps the ticket that an answer renews, and logs in again by itself once when the ticket is
// refused. Promises: a call returns the answer of a success or throws RemoteError; what throws `transient` may be sent
// again as it is. One tab at a time renews the ticket.
import { error_of, k_class, k_unavailable, k_deadline, local_error, RemoteError } from './errors';
import { Link, type LinkState, type SocketLike } from './link';
import type { Session, SessionKeeper } from './session';
import type {
  AnyResponse,
  BaseRequestJson,
  DeviceInfoJson,
  LoginResponseJson,
  Path,
  Request,
  Response,
  RingJson,
} from './types';

export const k_client_version = 1;
const k_feature_level = 2;
const k_timeout_ms = 15_000;
const k_poll_wait_ms = 25_000;
const k_retries = 2;
// These are not sent twice by themselves: the second answer would contradict the first.
const k_once: ReadonlySet<Path> = new Set<Path>(['register', 'password/set']);
const k_http_only: ReadonlySet<Path> = new Set<Path>(['register', 'login', 'poll', 'logout']);

export interface WireOptions {
  origin: string; // "http://127.0.0.1:8080"
  sessions: SessionKeeper;
  fetch: typeof fetch;
  open_socket: (url: string) => SocketLike;
  exclusive: <T>(name: string, work: () => Promise<T>) => Promise<T>; // Across tabs.
  device: () => DeviceInfoJson;
  locale: () => string;
  on_ring: (ring: RingJson) => void;
  on_up: () => void;
  on_state: (state: LinkState) => void;
  on_ended: () => void; // Logged out by the server; local data stay.
  snapshot: () => Promise<string>; // For long polling.
  on_quiet: () => Promise<unknown>;
}

export class Wire {
  readonly link: Link;
  private ended = false;
  constructor(private readonly options: WireOptions) {
    this.link = new Link({
      open: () => options.open_socket(`${options.origin.replace(/^http/, 'ws')}/ws`),
      identify: () => ({ base: this.base(true) }),
      renew: () => this.renew(options.sessions.load()),
      poll: async () =>
        (
          await this.call(
            'poll',
            { waitMs: k_poll_wait_ms, snapshot: await options.snapshot() },
            k_poll_wait_ms + 10_000,
          )
        ).rings ?? [],
      on_ring: (ring) => options.on_ring(ring),
      on_up: () => options.on_up(),
      on_state: (state) => options.on_state(state),
      answered: (response) => this.keep_ticket(options.sessions.load(), response),
      on_quiet: () => options.on_quiet(),
    });
  }

  async call<P extends Path>(path: P, body: Request<P>, timeout_ms = k_timeout_ms): Promise<Response<P>> {
    for (let tries = 0; ; tries += 1) {
      try {
        return await this.call_once(path, body, timeout_ms);
      } catch (error) {
        const again =
          error instanceof RemoteError &&
          error.error_class === k_class.retry &&
          !k_once.has(path) &&
          tries < k_retries &&
          error.code !== 111;
        if (!again) throw error;
        await new Promise((resolve) => setTimeout(resolve, error.retry_after_ms || 100 * (tries + 1)));
      }
    }
  }
  // Logs in and keeps the session. `credential` is one of the oneof of LoginRequest.
  async login(credential: Omit<Request<'login'>, 'device'>): Promise<LoginResponseJson> {
    return this.adopt(await this.call('login', { ...credential, device: this.options.device() }));
  }
  async register(request: Omit<Request<'register'>, 'device'>): Promise<LoginResponseJson> {
    return this.adopt(await this.call('register', { ...request, device: this.options.device() }));
  }
  adopt(response: LoginResponseJson): LoginResponseJson {
    this.ended = false;
    this.options.sessions.save({
      uin: response.uin ?? '',
      ticket: response.ticket ?? '',
      refresh: response.refresh ?? '',
      epoch: response.deviceEpoch ?? 0,
    });
    return response;
  }
  // The ticket in `used` was refused. True when there is a newer one to try.
  renew(used: Session | null): Promise<boolean> {
    return this.options.exclusive('hongyan-renew', async () => {
      const now = this.options.sessions.load();
      if (!now) return this.end();
      if (used && (now.ticket !== used.ticket || now.refresh !== used.refresh)) return true;
      try {
        const answer = await this.post(
          'login',
          { base: this.base(false), refresh: now.refresh, device: this.options.device() },
          k_timeout_ms,
        );
        const error = error_of(answer.base);
        if (error) throw error;
        const login = answer as LoginResponseJson;
        this.options.sessions.save({
          uin: now.uin,
          ticket: login.ticket ?? '',
          refresh: login.refresh || now.refresh,
          epoch: login.deviceEpoch || now.epoch,
        });
        return true;
      } catch (error) {
        const refused =
          error instanceof RemoteError &&
          (error.error_class === k_class.login || error.error_class === k_class.give_up);
        if (refused) return this.end();
        throw error;
      }
    });
  }
  // Fails when the link is dead. Costs the server one empty sync.
  async probe(snapshot: string): Promise<Response<'sync'>> {
    return (await this.link.request('sync', { base: this.base(false), snapshot }, 10_000)) as Response<'sync'>;
  }
  private end(): false {
    if (!this.ended) {
      this.ended = true;
      this.options.on_ended();
    }
    return false;
  }

  private base(with_ticket: boolean): BaseRequestJson {
    const session = this.options.sessions.load();
    const base: BaseRequestJson = {
      featureLevel: k_feature_level,
      clientVersion: k_client_version,
      deviceId: this.options.sessions.device_id(),
      locale: this.options.locale(),
    };
    if (session) base.deviceEpoch = session.epoch;
    if (with_ticket && session) base.ticket = session.ticket;
    return base;
  }
  private keep_ticket(of: Session | null, response: AnyResponse): void {
    const ticket = response.base?.newTicket;
    if (ticket && of) this.options.sessions.save_ticket(of, ticket);
  }
  private async call_once<P extends Path>(path: P, body: Request<P>, timeout_ms: number): Promise<Response<P>> {
    const anonymous = path === 'login' || path === 'register';
    for (let renewed = false; ; renewed = true) {
      const session = this.options.sessions.load();
      const over_link = this.link.ready && !k_http_only.has(path);
      const request = { ...body, base: this.base(!over_link && !anonymous) };
      const response = over_link
        ? await this.link.request(path, request, timeout_ms)
        : await this.post(path, request, timeout_ms);
      this.keep_ticket(session, response);
      const error = error_of(response.base, response);
      if (!error) return response as Response<P>;
      if (error.error_class !== k_class.login || anonymous || renewed || !(await this.renew(session))) throw error;
      if (over_link) {
        // The link is bound to the old ticket: bind it to the new one.
        const bound = await this.link.request('identify', { base: this.base(true) }, timeout_ms);
        const refused = error_of(bound.base);
        if (refused) throw refused;
      }
    }
  }
  private async post(path: Path, body: object, timeout_ms: number): Promise<AnyResponse> {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), timeout_ms);
    try {
      const answer = await this.options.fetch(`${this.options.origin}/api/v1/${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
        signal: abort.signal,
        credentials: 'omit',
        cache: 'no-store',
        referrerPolicy: 'no-referrer',
      });
      if (answer.ok) return (await answer.json()) as AnyResponse;
      throw local_error(
        answer.status === 413 ? 11 : answer.status === 404 || answer.status === 405 ? 14 : k_unavailable,
        `HTTP ${answer.status}`,
      );
    } catch (error) {
      if (error instanceof RemoteError) throw error;
      throw local_error(abort.signal.aborted ? k_deadline : k_unavailable, String(error));
    } finally {
      clearTimeout(timer);
    }
  }
}
