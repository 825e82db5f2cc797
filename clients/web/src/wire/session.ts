// Who is logged in in this browser profile, and the ticket. Shared by all tabs; every read goes to the storage, so a
// ticket that one tab renewed is used by the others with their next request.
import { random_bytes, to_base64 } from './bytes';

export interface Session {
  uin: string;
  ticket: string;
  refresh: string;
  epoch: number;
}
export interface KeyValue {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}
const k_session = 'hongyan.session';
const k_device = 'hongyan.device';

export class SessionKeeper {
  constructor(private readonly storage: KeyValue) {}
  load(): Session | null {
    try {
      const session = JSON.parse(this.storage.getItem(k_session) ?? 'null') as Session | null;
      return session && session.uin && session.refresh ? session : null;
    } catch {
      return null;
    }
  }
  save(session: Session): void {
    this.storage.setItem(k_session, JSON.stringify(session));
  }
  // Replaces the ticket of the same login only: an answer that comes late must not change a newer login.
  save_ticket(of: Session, ticket: string): void {
    const now = this.load();
    if (now && now.uin === of.uin && now.refresh === of.refresh) this.save({ ...now, ticket });
  }
  clear(): void {
    this.storage.removeItem(k_session);
  }
  // 16 random bytes, chosen once for the browser profile.
  device_id(): string {
    const known = this.storage.getItem(k_device);
    if (known) return known;
    const made = to_base64(random_bytes(16));
    this.storage.setItem(k_device, made);
    return made;
  }
}
export const k_session_key = k_session;
