// The long link of the leading tab: one WebSocket, many requests in flight, rings. It connects again by itself with
// jittered backoff for as long as it is started. When WebSockets do not get through it polls over HTTP meanwhile.
// Promises: a request either gets its answer, or fails with a transient error when the link breaks or the time is
// over; the outcome is then unknown and the caller sends the same request again. Rings carry nothing to be trusted.
import { Backoff } from './backoff';
import { error_of, local_error, k_class, k_deadline, k_unavailable, k_unknown_outcome } from './errors';
import type { AnyResponse, RingJson } from './types';

export type LinkState = 'stopped' | 'connecting' | 'online' | 'polling';
export interface SocketLike {
  readyState: number;
  send(data: string): void;
  close(code?: number): void;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
}
export interface LinkOptions {
  open: () => SocketLike;
  identify: () => object; // The body of `identify`, with the ticket of now.
  renew: () => Promise<boolean>; // The ticket was refused. False: logged out for good.
  poll: () => Promise<RingJson[]>; // One long poll over HTTP.
  on_ring: (ring: RingJson) => void;
  on_up: () => void; // Identified (again): there may be news.
  on_state: (state: LinkState) => void;
  answered: (response: AnyResponse) => void; // Sees every answer, for new tickets.
  random?: () => number;
  quiet_ms?: number; // Silence after which on_quiet is called.
  on_quiet?: () => Promise<unknown>; // Asks the server something; a failure means the link is dead.
}
interface Waiting {
  resolve: (response: AnyResponse) => void;
  reject: (error: Error) => void;
  timer: ReturnType<typeof setTimeout>;
}

const k_in_flight_max = 48; // The server takes 64 a link.
const k_identify_ms = 10_000;
const k_failures_before_poll = 2;
const k_logged_out = 4001;

export class Link {
  state: LinkState = 'stopped';
  private socket: SocketLike | null = null;
  private identified = false;
  private waiting = new Map<string, Waiting>();
  private queue: (() => void)[] = [];
  private next_id = 1;
  private generation = 0;
  private retry_timer: ReturnType<typeof setTimeout> | undefined;
  private quiet_timer: ReturnType<typeof setTimeout> | undefined;
  private readonly backoff: Backoff;
  private failures = 0;
  private polling = 0;

  constructor(private readonly options: LinkOptions) {
    this.backoff = new Backoff(500, 30_000, options.random);
  }

  get ready(): boolean {
    return this.identified;
  }

  start(): void {
    if (this.state !== 'stopped') return;
    this.set_state('connecting');
    this.connect();
  }
  stop(): void {
    this.generation += 1;
    this.polling = 0;
    clearTimeout(this.retry_timer);
    this.drop(1000);
    this.set_state('stopped');
  }
  // The network came back or the person looks at the page: do not wait for the backoff.
  poke(): void {
    if (this.state === 'stopped' || this.socket) return;
    this.backoff.reset();
    clearTimeout(this.retry_timer);
    this.connect();
  }
  async request(path: string, body: object, timeout_ms: number): Promise<AnyResponse> {
    if (!this.identified) throw local_error(k_unavailable, 'no link');
    if (this.waiting.size >= k_in_flight_max) await new Promise<void>((resolve) => this.queue.push(resolve));
    if (!this.identified) throw local_error(k_unavailable, 'no link');
    return this.exchange(path, body, timeout_ms);
  }

  private exchange(path: string, body: object, timeout_ms: number): Promise<AnyResponse> {
    const id = String(this.next_id++);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.settle(id)?.reject(local_error(k_deadline, 'no answer in time')), timeout_ms);
      this.waiting.set(id, { resolve, reject, timer });
      try {
        this.socket!.send(JSON.stringify({ id, path, body }));
      } catch (error) {
        this.settle(id)?.reject(local_error(k_unknown_outcome, String(error)));
      }
    });
  }
  private settle(id: string): Waiting | undefined {
    const entry = this.waiting.get(id);
    if (!entry) return undefined;
    this.waiting.delete(id);
    clearTimeout(entry.timer);
    this.queue.shift()?.();
    return entry;
  }
  private set_state(state: LinkState): void {
    if (this.state === state) return;
    this.state = state;
    this.options.on_state(state);
  }
  private connect(): void {
    const mine = ++this.generation;
    let socket: SocketLike;
    try {
      socket = this.options.open();
    } catch {
      this.lost(mine);
      return;
    }
    this.socket = socket;
    const deadline = setTimeout(() => socket.close(), k_identify_ms);
    socket.onopen = () => {
      void this.identify(mine, deadline);
    };
    socket.onmessage = (event) => {
      if (mine === this.generation) this.take(String(event.data));
    };
    socket.onerror = () => {};
    socket.onclose = (event) => {
      clearTimeout(deadline);
      if (mine === this.generation) this.lost(mine, event?.code);
    };
  }
  private async identify(mine: number, deadline: ReturnType<typeof setTimeout>): Promise<void> {
    try {
      let answer = await this.exchange('identify', this.options.identify(), k_identify_ms);
      let error = error_of(answer.base);
      if (error?.error_class === k_class.login) {
        if (!(await this.options.renew()) || mine !== this.generation) return;
        answer = await this.exchange('identify', this.options.identify(), k_identify_ms);
        error = error_of(answer.base);
      }
      if (mine !== this.generation) return;
      if (error) throw error;
      clearTimeout(deadline);
      this.options.answered(answer);
      this.identified = true;
      this.failures = 0;
      this.polling = 0;
      this.backoff.reset();
      this.set_state('online');
      this.watch_silence();
      this.options.on_up();
    } catch {
      if (mine === this.generation) this.socket?.close();
    }
  }
  private take(text: string): void {
    this.watch_silence();
    let frame: { id?: string; body?: AnyResponse; ring?: RingJson };
    try {
      frame = JSON.parse(text);
    } catch {
      return;
    }
    if (frame.ring) this.options.on_ring(frame.ring);
    if (frame.id !== undefined && frame.body) this.settle(String(frame.id))?.resolve(frame.body);
  }
  // A server that vanished without a close is noticed by asking it something after a silence.
  private watch_silence(): void {
    clearTimeout(this.quiet_timer);
    if (!this.identified || !this.options.on_quiet) return;
    const mine = this.generation;
    this.quiet_timer = setTimeout(() => {
      this.options.on_quiet!().then(
        () => {
          if (mine === this.generation) this.watch_silence();
        },
        () => {
          if (mine === this.generation) {
            this.socket?.close();
            this.lost(mine);
          }
        },
      );
    }, this.options.quiet_ms ?? 45_000);
  }
  private drop(code?: number): void {
    const socket = this.socket;
    this.socket = null;
    this.identified = false;
    clearTimeout(this.quiet_timer);
    if (socket) {
      socket.onmessage = socket.onclose = socket.onopen = null;
      try {
        socket.close(code);
      } catch {
        /* It never opened. */
      }
    }
    for (const id of [...this.waiting.keys()])
      this.settle(id)?.reject(local_error(k_unknown_outcome, 'the link broke'));
    for (const wake of this.queue.splice(0)) wake();
  }
  private lost(mine: number, code?: number): void {
    if (mine !== this.generation || this.state === 'stopped') return;
    const was_up = this.identified;
    this.generation += 1;
    this.drop();
    if (!was_up) this.failures += 1;
    if (this.state !== 'polling') this.set_state('connecting');
    if (code === k_logged_out) void this.options.renew();
    if (this.failures >= k_failures_before_poll && !this.polling) void this.poll_loop(++this.generation);
    clearTimeout(this.retry_timer);
    this.retry_timer = setTimeout(() => {
      if (this.state !== 'stopped') this.connect();
    }, this.backoff.next());
  }
  private async poll_loop(token: number): Promise<void> {
    this.polling = token;
    const backoff = new Backoff(1000, 30_000, this.options.random);
    while (this.polling === token) {
      try {
        const rings = await this.options.poll();
        if (this.polling !== token) return;
        backoff.reset();
        if (this.state !== 'polling') {
          this.set_state('polling');
          this.options.on_up();
        }
        for (const ring of rings) this.options.on_ring(ring);
      } catch {
        if (this.polling !== token) return;
        this.set_state('connecting');
        await new Promise((resolve) => setTimeout(resolve, backoff.next()));
      }
    }
  }
}
