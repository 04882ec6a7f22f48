/** Keeps secrets out of the log, whatever the caller puts into the fields. */

/** Deeper fields are cut: nothing we log is deeper, and a cycle must end somewhere. */
const DEPTH_MAX = 6;
/** A field that holds a whole list (workers, entries) is cut so that a line stays a line. */
const ITEMS_MAX = 100;

const HIDDEN = '[redacted]';

/** Compared without `-`, `_` and `.`: access_key, accessKeyId, access-key and S3.AccessKey are one. */
const SECRET_NAME = /secret|passw|pwd|token|accesskey|privatekey|credential|authorization|cookie/;

function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name.toLowerCase().replace(/[-_.]/g, ''));
}

/** User and password in a URL, and signed query parameters. */
const URL_USER = /([a-z][a-z0-9+.-]*:\/\/)[^\s/@:]*:[^\s/@]*@/gi;
const URL_SIGNATURE =
  /([?&](?:x-amz-(?:signature|credential|security-token)|signature|awsaccesskeyid)=)[^&\s"]+/gi;
/** `password=x`, `secret_key: "x"` inside running text. */
const ASSIGNED =
  /\b([\w.-]*(?:secret|passw|token|access[_-]?key)[\w.-]*["']?\s*[=:]\s*)(?:"[^"]*"|'[^']*'|[^\s,;&"'}\]]+)/gi;

export class Redactor {
  readonly #values: readonly string[];

  /** `secrets`: values known from the configuration; they are hidden wherever they turn up. */
  constructor(secrets: readonly string[] = []) {
    // A one-letter "secret" would blank half of every line and protects nothing.
    this.#values = secrets.filter((secret) => secret.length >= 4);
  }

  text(text: string): string {
    let clean = text
      .replace(URL_USER, `$1${HIDDEN}@`)
      .replace(URL_SIGNATURE, `$1${HIDDEN}`)
      .replace(ASSIGNED, `$1${HIDDEN}`);
    for (const value of this.#values) clean = clean.replaceAll(value, HIDDEN);
    return clean;
  }

  fields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
    return this.#object(fields, 0);
  }

  #object(object: object, depth: number): Record<string, unknown> {
    const clean: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(object).slice(0, ITEMS_MAX)) {
      clean[name] = isSecretName(name) ? HIDDEN : this.#value(value, depth);
    }
    return clean;
  }

  #value(value: unknown, depth: number): unknown {
    if (typeof value === 'string') return this.text(value);
    if (typeof value === 'bigint') return value.toString();
    if (typeof value === 'function' || typeof value === 'symbol') return undefined;
    if (typeof value !== 'object' || value === null) return value;
    if (depth >= DEPTH_MAX) return '[deep]';
    if (value instanceof Error) return this.#error(value, depth + 1);
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
    // File content has no place in a log.
    if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
    if (Array.isArray(value)) {
      return value.slice(0, ITEMS_MAX).map((item) => this.#value(item, depth + 1));
    }
    return this.#object(value, depth + 1);
  }

  /** Everything that an error carries, its cause included; `message` and `stack` are not enumerable. */
  #error(error: Error, depth: number): Record<string, unknown> {
    const { cause, stack, message } = error;
    return {
      ...this.#object(error, depth),
      name: error.name,
      message: this.text(message),
      ...(stack === undefined ? {} : { stack: this.text(stack) }),
      ...(cause === undefined ? {} : { cause: this.#value(cause, depth) }),
    };
  }
}
