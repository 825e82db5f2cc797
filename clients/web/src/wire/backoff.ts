// How long to wait before the n-th try: doubles from `first_ms` to `max_ms`, jittered between half and all of it, so
// that clients of a server that comes back do not come back in one moment.
export class Backoff {
  private tries = 0;
  constructor(
    private readonly first_ms = 500,
    private readonly max_ms = 30_000,
    private readonly random: () => number = Math.random,
  ) {}
  next(): number {
    const full = Math.min(this.max_ms, this.first_ms * 2 ** Math.min(this.tries, 20));
    this.tries += 1;
    return full / 2 + (this.random() * full) / 2;
  }
  reset(): void {
    this.tries = 0;
  }
}
