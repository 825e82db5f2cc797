// How good a new password is, from 0 (too short) to 4. A hint, not a gate: the server only asks for 8 to 128 bytes.
import { utf8_bytes } from '../wire/bytes';

const k_common =
  /^(password|passw0rd|12345678|123456789|1234567890|qwertyui|qwerty123|11111111|iloveyou|abc12345|admin123|letmein1|88888888)/i;
export function password_strength(password: string, user_name = ''): 0 | 1 | 2 | 3 | 4 {
  const bytes = utf8_bytes(password).length;
  if (bytes < 8) return 0;
  if (
    k_common.test(password) ||
    new Set(password).size < 4 ||
    (user_name.length > 2 && password.toLowerCase().includes(user_name.toLowerCase()))
  )
    return 1;
  const sets = [/[a-z]/, /[A-Z]/, /[0-9]/, /[^a-zA-Z0-9]/].filter((set) => set.test(password)).length;
  const points = Math.min(bytes, 24) / 4 + sets; // 8 letters: 3; 16 letters: 5; 12 mixed: 6
  return points >= 7 ? 4 : points >= 5 ? 3 : 2;
}
