import { readFileSync } from 'node:fs';
import { sm2, sm3, sm4 } from 'sm-crypto-v2';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { ServerFrame } from '../src/frames';
import { sealed } from '../src/sm';
import { Handshake } from '../src/sm-records';

interface Golden {
  readonly fingerprint: string;
  readonly client_private: string;
  readonly client_once: string;
  readonly hello: string;
  readonly answer: string;
  readonly up: readonly { frame: string; record: string }[];
  readonly down: readonly { frame: string; record: string }[];
}

/** A whole talk, kept by the server's own tests. */
const GOLDEN = JSON.parse(readFileSync(new URL('../../../../tests/wire/sm.json', import.meta.url), 'utf8')) as Golden;
const bytes = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex');
const pair = (privateKey: string): { privateKey: string; publicKey: string } => ({ privateKey, publicKey: sm2.getPublicKeyFromPrivateKey(privateKey) });

/** The client whose talk is kept. */
const handshake = (): Handshake => new Handshake(pair(GOLDEN.client_private), pair(GOLDEN.client_once));

describe('what the standards publish', () => {
  it('SM3 (GB/T 32905, A.1) and SM4-GCM (RFC 8998, A.1)', () => {
    expect(sm3(bytes('616263'))).toBe('66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0');
    const plain = bytes(`${'aa'.repeat(8)}${'bb'.repeat(8)}${'cc'.repeat(8)}${'dd'.repeat(8)}${'ee'.repeat(8)}${'ff'.repeat(8)}${'ee'.repeat(8)}${'aa'.repeat(8)}`);
    const { output, tag } = sm4.encrypt(plain, bytes('0123456789abcdeffedcba9876543210'), {
      mode: 'gcm', iv: bytes('00001234567800000000abcd'), associatedData: bytes('feedfacedeadbeeffeedfacedeadbeefabaddad2'), output: 'array', outputTag: true,
    });
    expect(hex(output)).toMatch(/^17f399f08c67d5ee19d0dc9969c4bb7d/);
    expect(hex(tag!)).toBe('83de3541e4c2b58177e065a9bf7b62ec');
  });

  it('SM2 signature and key agreement (GB/T 32918.5, annexes A and B)', () => {
    const signer = sm2.getPublicKeyFromPrivateKey('3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8');
    const signature = 'f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa';
    expect(sm2.doVerifySignature('message digest', signature, signer, { hash: true })).toBe(true);
    expect(sm2.doVerifySignature('message digesT', signature, signer, { hash: true })).toBe(false);
    const a = pair('81eb26e941bb5af16df116495f90695272ae2cd63d6c4ae1678418be48230029');
    const onceA = pair('d4de15474db74d06491c440d305e012400990f3e390c7e87153c12db2ea60bb3');
    const b = pair('785129917d45a9ea5437a59356b82338eaadda6ceb199088f14ae10defa229b5');
    const onceB = pair('7e07124814b309489125eaed101113164ebf0f3458c5bd88335c1f9d596243d6');
    expect(hex(sm2.calculateSharedKey(a, onceA, b.publicKey, onceB.publicKey, 16))).toBe('6c89347354de2484c60b4ab1fde4c6e5');
  });
});

describe('the sealed talk', () => {
  it('has the bytes that the server reads and writes', () => {
    const client = handshake();
    expect(hex(client.hello)).toBe(GOLDEN.hello);
    const records = client.finish(bytes(GOLDEN.answer), GOLDEN.fingerprint.toUpperCase());
    for (const { frame, record } of GOLDEN.up) expect(hex(records.seal(frame))).toBe(record);
    for (const { frame, record } of GOLDEN.down) expect(records.open(bytes(record))).toBe(frame);
  });

  it('has keys of its own each time', () => {
    expect(hex(new Handshake().hello)).not.toBe(hex(new Handshake().hello));
  });

  it('refuses another server, a changed answer and half of one', () => {
    expect(() => handshake().finish(bytes(GOLDEN.answer), '0'.repeat(64))).toThrow('another identity');
    for (const at of [0, 40, 100, 140, 200, 259]) {
      const changed = bytes(GOLDEN.answer);
      changed[at]! ^= 1;
      expect(() => handshake().finish(changed, GOLDEN.fingerprint)).toThrow();
    }
    expect(() => handshake().finish(bytes(GOLDEN.answer).slice(1), GOLDEN.fingerprint)).toThrow();
    expect(() => handshake().finish(bytes(`${GOLDEN.answer}00`), GOLDEN.fingerprint)).toThrow();
  });

  it('refuses records that are changed, repeated, out of order, cut off, or its own', () => {
    const [first, second] = GOLDEN.down.map(({ record }) => bytes(record));
    const changed = first!.slice();
    changed[3]! ^= 0x80;
    const mirrored = bytes(GOLDEN.up[0]!.record);
    for (const record of [second!, changed, first!.slice(0, -1), first!.slice(0, 5), mirrored]) {
      expect(() => handshake().finish(bytes(GOLDEN.answer), GOLDEN.fingerprint).open(record)).toThrow();
    }
    const records = handshake().finish(bytes(GOLDEN.answer), GOLDEN.fingerprint);
    records.open(first!);
    expect(() => records.open(first!)).toThrow();
  });
});

/** The browser's socket in the hands of a test. */
class FakeSocket {
  static readonly OPEN = 1;
  static last: FakeSocket;
  readonly sent: Uint8Array[] = [];
  readyState = 1;
  code: number | undefined;
  onopen?: () => void;
  onclose?: (event: { code: number }) => void;
  onmessage?: (event: { data: ArrayBuffer }) => void;

  constructor(readonly url: string, readonly protocol: string) {
    FakeSocket.last = this;
  }

  send(data: Uint8Array): void {
    this.sent.push(data);
  }

  close(code: number): void {
    this.code = code;
  }
}

describe('the transport', () => {
  afterEach(() => vi.unstubAllGlobals());

  function open(): { socket: FakeSocket; told: unknown[]; close: (code: number) => void } {
    vi.stubGlobal('WebSocket', FakeSocket);
    const told: unknown[] = [];
    const channel = sealed(GOLDEN.fingerprint)('ws://host/ws', {
      opened: () => told.push('opened'),
      received: (frame: ServerFrame) => told.push(frame),
      closed: (code) => told.push(code),
    });
    channel.send({ type: 'ping' });
    return { socket: FakeSocket.last, told, close: (code) => channel.close(code) };
  }

  it('says its hello and nothing more before the server is known', async () => {
    const { socket, told } = open();
    expect(socket.protocol).toBe('unique-cs.v1+sm');
    socket.onopen!();
    await vi.waitFor(() => expect(socket.sent.length).toBe(1));
    expect(socket.sent[0]!.length).toBe(131);
    socket.onmessage!({ data: bytes(GOLDEN.answer).buffer.slice(0, 100) });
    expect(told).toEqual([4500]);
    expect(socket.sent.length).toBe(1);
    expect(socket.code).toBe(4500);
  });

  it('gives up where the server does not speak it', async () => {
    const { socket, told } = open();
    Object.assign(socket, { protocol: '' });
    socket.onopen!();
    await vi.waitFor(() => expect(told).toEqual([4500]));
    expect(socket.sent).toEqual([]);
  });

  it('says nothing any more once it is closed', async () => {
    const { socket, told, close } = open();
    close(1000);
    socket.onclose!({ code: 1000 });
    expect(told).toEqual([]);
    expect(socket.code).toBe(1000);
  });
});
