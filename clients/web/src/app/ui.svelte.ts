// Which dialog is open, and the question a dangerous action asks first.
import type { ConvKey } from '../store/rows';
import type { MessageJson } from '../wire/types';

export type Dialog =
  | { kind: 'add' }
  | { kind: 'new_group'; with?: string[] }
  | { kind: 'add_members'; group: string }
  | { kind: 'password' }
  | { kind: 'switcher'; forward?: MessageJson }
  | {
      kind: 'edit';
      title: string;
      label: string;
      value: string;
      max: number;
      empty: boolean;
      save: (value: string) => Promise<unknown>;
    };
export interface Question {
  title: string;
  text: string;
  action: string;
  danger: boolean;
  answer: (yes: boolean) => void;
}

class Ui {
  dialog = $state.raw<Dialog | null>(null);
  question = $state.raw<Question | null>(null);
  group_panel = $state(false);
  quote = $state.raw<{ conv: ConvKey; message: MessageJson } | null>(null); // What the next message answers.
  open(dialog: Dialog): void {
    this.dialog = dialog;
  }
  close(): void {
    this.dialog = null;
  }
  ask(title: string, text: string, action: string, danger = true): Promise<boolean> {
    return new Promise((resolve) => {
      this.question = {
        title,
        text,
        action,
        danger,
        answer: (yes) => {
          this.question = null;
          resolve(yes);
        },
      };
    });
  }
}
export const ui = new Ui();
