// Keys of a raw terminal, put together to lines as the terminal itself would do it.

/** What a key means besides its letter. */
export type TypedEvent =
  | { readonly kind: 'line'; readonly text: string }
  | { readonly kind: 'signal'; readonly name: 'SIGINT' | 'SIGQUIT' | 'SIGTSTP' }
  /** Control-D on an empty line: no more lines come. */
  | { readonly kind: 'end' };

/** A line may be at most this long; more is not taken. */
const MAX_LINE = 200;

const SIGNALS: Readonly<Record<string, 'SIGINT' | 'SIGQUIT' | 'SIGTSTP'>> = {
  '\x03': 'SIGINT',
  '\x1c': 'SIGQUIT',
  '\x1a': 'SIGTSTP',
};

export class TypedLine {
  #characters: string[] = [];

  /** What stands on the line now. */
  get text(): string {
    return this.#characters.join('');
  }

  feed(keys: string): TypedEvent[] {
    // An arrow or function key.
    if (keys.startsWith('\x1b')) return [];
    return [...keys.replaceAll('\r\n', '\n')].flatMap((key) => this.#key(key));
  }

  #key(key: string): readonly TypedEvent[] {
    const name = SIGNALS[key];
    if (name !== undefined) return [{ kind: 'signal', name }];
    switch (key) {
      case '\r':
      case '\n': {
        const { text } = this;
        this.#characters = [];
        return [{ kind: 'line', text }];
      }
      case '\x04':
        return this.#characters.length === 0 ? [{ kind: 'end' }] : [];
      case '\x7f':
      case '\b':
        this.#characters.pop();
        return [];
      case '\x15': // Control-U
        this.#characters = [];
        return [];
      default:
        if (key >= ' ' && this.#characters.length < MAX_LINE) this.#characters.push(key);
        return [];
    }
  }
}
