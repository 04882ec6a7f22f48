import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sampleRequests } from './sample-requests.ts';
import { RequestDecoder, WireError } from './index.ts';

const CASES = 100_000;
const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 0x7fff_ffff);

/** Small and seeded (mulberry32): the same seed makes the same cases. */
function randomSource(start: number): (below: number) => number {
  let state = start >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000) * below);
  };
}

const INTERESTING = [
  0, 1, 7, 8, 0x2f, 0x7f, 0x80, 0xff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff,
];

/**
 * Decodes twice with different poison behind the request. What lies there may make no difference, in a
 * result or in a refusal.
 */
class Prober {
  readonly #decoder = new RequestDecoder();
  readonly #buffer = Buffer.alloc(2048);
  decoded = 0;
  refused = 0;

  probe(bytes: Buffer, length: number): void {
    const first = this.#outcome(bytes, length, 0xa5);
    const second = this.#outcome(bytes, length, 0x00);
    assert.equal(first, second, 'bytes behind the request were looked at');
  }

  #outcome(bytes: Buffer, length: number, poison: number): string {
    this.#buffer.fill(poison);
    bytes.copy(this.#buffer, 0, 0, length);
    try {
      const request = this.#decoder.decode(this.#buffer, length);
      this.decoded++;
      assert.equal(request.header.len, length);
      const view =
        'data' in request ? request.data : 'value' in request ? request.value : undefined;
      if (view !== undefined) {
        const from = view.byteOffset - this.#buffer.byteOffset;
        assert.ok(from >= 40 && from + view.length <= length, 'view reaches out of the request');
      }
      return JSON.stringify(request);
    } catch (error) {
      // Anything else than a WireError, a failed assertion too, ends the test.
      if (!(error instanceof WireError)) throw error;
      this.refused++;
      return error.message;
    }
  }
}

function run(name: string, makeCase: (random: (below: number) => number) => Buffer): Prober {
  const random = randomSource(seed);
  const prober = new Prober();
  // A stack trace for each of the many refusals would be most of the time.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  let bytes: Buffer = Buffer.alloc(0);
  let i = 0;
  try {
    for (; i < CASES; i++) {
      bytes = makeCase(random);
      prober.probe(bytes, bytes.length);
    }
  } catch (error) {
    throw new Error(`${name}: FUZZ_SEED=${seed}, case ${i}: ${bytes.toString('hex')}`, {
      cause: error,
    });
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
  return prober;
}

describe(`random input (FUZZ_SEED=${seed})`, () => {
  it(`${CASES} requests with a few changes`, () => {
    const prober = run('mutated', (random) => {
      const sample = sampleRequests[random(sampleRequests.length)];
      assert.ok(sample !== undefined);
      let bytes = Buffer.from(sample.bytes);
      for (let changes = random(4); changes > 0; changes--) {
        const kind = random(6);
        const at = random(bytes.length);
        if (kind === 0) bytes[at] = random(256);
        else if (kind === 1) bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8));
        else if (kind === 2 && bytes.length >= 4) {
          const word = Math.floor(random(bytes.length - 3) / 4) * 4;
          bytes.writeUInt32LE(INTERESTING[random(INTERESTING.length)] ?? 0, word);
        } else if (kind === 3) bytes = bytes.subarray(0, at);
        else if (kind === 4)
          bytes = Buffer.concat([bytes, Buffer.alloc(1 + random(40), random(256))]);
        else bytes = Buffer.concat([bytes.subarray(0, at), bytes]);
        if (bytes.length === 0) break;
      }
      // Mostly let the header agree, or nearly nothing would be looked at behind it.
      if (bytes.length >= 4 && random(8) !== 0) bytes.writeUInt32LE(bytes.length, 0);
      return bytes;
    });
    // Both must happen often, or the test has stopped testing.
    assert.ok(prober.decoded > CASES / 10, `only ${prober.decoded} decoded`);
    assert.ok(prober.refused > CASES / 10, `only ${prober.refused} refused`);
  });

  it(`${CASES} pieces of noise`, () => {
    const prober = run('noise', (random) => {
      const bytes = Buffer.alloc(random(200));
      for (let i = 0; i < bytes.length; i++) bytes[i] = random(256);
      // Half of them with a header that gets past the first checks, so that bodies are noise too.
      if (bytes.length >= 40 && random(2) === 0) {
        bytes.writeUInt32LE(bytes.length, 0);
        bytes.writeUInt32LE(random(60), 4);
        bytes.writeUInt32LE(random(0x20_0000), 12);
        bytes.writeUInt32LE(0, 20);
        bytes.writeUInt16LE(random(4) === 0 ? random(20) : 0, 36);
      }
      return bytes;
    });
    assert.ok(prober.refused > CASES / 10, `only ${prober.refused} refused`);
  });
});
