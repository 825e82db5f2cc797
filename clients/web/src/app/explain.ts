// Errors as sentences for people.
import { k_class, k_codes, RemoteError } from '../wire/errors';
import { has_text, t, type TextKey } from './i18n.svelte';

export function explain_code(code: number): string {
  const key = `error.${k_codes[code]?.[0] ?? ''}`;
  return has_text(key) ? t(key as TextKey) : t('error.other', { code: String(code) });
}
export function explain(error: unknown): string {
  if (!(error instanceof RemoteError)) {
    console.error(error);
    return t('error.internal');
  }
  const key = `error.${k_codes[error.code]?.[0] ?? ''}`;
  if (has_text(key)) return t(key as TextKey);
  if (error.error_class === k_class.retry || error.error_class === k_class.later) return t('error.unavailable');
  return t('error.other', { code: String(error.code) });
}
