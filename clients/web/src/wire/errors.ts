// The errors a server answers (src/model/error_code.h; a test compares) and what a client does about each class.
import type { AnyResponse, BaseResponseJson } from './types';

export const k_class = { ok: 0, retry: 1, later: 2, login: 3, elsewhere: 4, give_up: 5, bug: 6 } as const;

export const k_codes: Record<number, readonly [name: string, error_class: number]> = {
  0: ['ok', 0],
  1: ['cancelled', 1],
  2: ['deadline', 1],
  3: ['overloaded', 2],
  4: ['unavailable', 2],
  5: ['invalid', 5],
  6: ['unauthenticated', 3],
  7: ['forbidden', 5],
  8: ['not_found', 5],
  9: ['exists', 5],
  10: ['conflict', 1],
  11: ['too_large', 5],
  12: ['no_space', 2],
  13: ['corrupt', 6],
  14: ['unsupported', 5],
  15: ['internal', 6],
  16: ['io', 2],
  17: ['unknown_outcome', 1],
  19: ['read_only', 2],
  21: ['rate_limited', 2],
  101: ['name_taken', 5],
  102: ['bad_name', 5],
  103: ['bad_password', 5],
  104: ['wrong_password', 5],
  105: ['not_friend', 5],
  106: ['blocked', 5],
  107: ['client_msg_id_reused', 5],
  108: ['not_member', 5],
  109: ['group_full', 5],
  110: ['contacts_full', 5],
  111: ['bad_snapshot', 1],
  112: ['no_request', 5],
  113: ['old_epoch', 3],
  114: ['login_disabled', 5],
  115: ['bad_frame', 5],
  116: ['owner_must_stay', 5],
};
export const k_bad_snapshot = 111;
export const k_unavailable = 4;
export const k_deadline = 2;
export const k_unknown_outcome = 17;

// A code this client does not know yet is final: sending the same again would not help.
export const class_of = (code: number): number => k_codes[code]?.[1] ?? k_class.give_up;

export class RemoteError extends Error {
  constructor(
    readonly code: number,
    readonly error_class: number,
    readonly retry_after_ms = 0,
    debug = '',
    readonly response?: AnyResponse,
  ) {
    super(`${k_codes[code]?.[0] ?? code}${debug ? `: ${debug}` : ''}`);
  }
  // True when the same request may pass later without anybody doing anything.
  get transient(): boolean {
    return this.error_class === k_class.retry || this.error_class === k_class.later;
  }
}

export function error_of(base: BaseResponseJson | undefined, response?: AnyResponse): RemoteError | null {
  const code = base?.code ?? 0;
  if (code === 0) return null;
  return new RemoteError(code, base?.class ?? class_of(code), base?.retryAfterMs ?? 0, base?.debug ?? '', response);
}
export const local_error = (code: number, debug: string): RemoteError =>
  new RemoteError(code, class_of(code), 0, debug);
