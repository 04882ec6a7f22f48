/**
 * Faults that a test asks a worker for. Nothing here changes content bytes: a fault delays, cuts,
 * refuses or lies about the framing, which a client can notice; silently wrong bytes it could not.
 */
export type FaultAction =
  | { readonly kind: 'delay'; readonly ms: number }
  /** The connection is cut after so many bytes of the answer, head included. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** The request is served, and then answered with this status. */
  | { readonly kind: 'status'; readonly status: number }
  /** The request is answered with this status and not served. */
  | { readonly kind: 'refuse'; readonly status: number }
  /** The connection is cut after so many bytes of the request's body, and before an answer. */
  | { readonly kind: 'cut-request'; readonly afterBytes: number }
  /** A copy fails after so many bytes, as a real one was seen to: what it wrote stays, and counts. */
  | { readonly kind: 'cut-copy'; readonly afterBytes: number }
  /** Content-Length is given as that much more (or less) than what follows. */
  | { readonly kind: 'content-length'; readonly deltaBytes: number }
  /** The answer, if it has an ETag, has this one. */
  | { readonly kind: 'etag'; readonly value: string }
  /** Never answers; the connection stays open until the client gives up. */
  | { readonly kind: 'hang' };

export interface FaultRule {
  readonly port?: 'http' | 's3';
  readonly method?: string;
  /** The request target as sent contains this text. */
  readonly targetIncludes?: string;
  /** Whether the request has this header. */
  readonly header?: string;
  /** Whether it has not. */
  readonly withoutHeader?: string;
  /** 0 to 1, drawn from the seed; always when left out. */
  readonly probability?: number;
  /** Applied at most so many times; without end when left out. */
  readonly count?: number;
  readonly action: FaultAction;
}

export interface FaultSubject {
  readonly port: 'http' | 's3';
  readonly method: string;
  readonly target: string;
  /** Lower-case names. */
  readonly headers: ReadonlyMap<string, string>;
}

export class Faults {
  #rules: { readonly rule: FaultRule; left: number }[] = [];
  #state = 1;
  #applied = 0;

  get applied(): number {
    return this.#applied;
  }

  set(rules: readonly FaultRule[], seed: number): void {
    this.#rules = rules.map((rule) => ({ rule, left: rule.count ?? Infinity }));
    this.#state = seed >>> 0;
  }

  /** The action of the first rule that matches, if one does. */
  next(subject: FaultSubject): FaultAction | undefined {
    for (const entry of this.#rules) {
      const { rule } = entry;
      if (entry.left <= 0 || !matches(rule, subject)) continue;
      if (rule.probability !== undefined && this.#random() >= rule.probability) continue;
      entry.left -= 1;
      this.#applied += 1;
      return rule.action;
    }
    return undefined;
  }

  /** Mulberry32: small, seeded, good enough to draw faults. */
  #random(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
}

function matches(rule: FaultRule, subject: FaultSubject): boolean {
  return (
    (rule.port === undefined || rule.port === subject.port) &&
    (rule.method === undefined || rule.method === subject.method) &&
    (rule.header === undefined || subject.headers.has(rule.header)) &&
    (rule.withoutHeader === undefined || !subject.headers.has(rule.withoutHeader)) &&
    (rule.targetIncludes === undefined || subject.target.includes(rule.targetIncludes))
  );
}
