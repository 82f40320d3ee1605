import { describe, expect, it } from 'vitest';
import { describeDevice } from '../src/lib/device';
import { parseRoute, routeHash } from '../src/lib/route';

describe('devices', () => {
  it.each([
    ['Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0', 'Edge 141 · Windows'],
    ['Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 MicroMessenger/8.0.60', 'WeChat 8 · iPhone'],
    ['Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0', 'Firefox 145 · Linux'],
    ['Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15', 'Safari 18 · macOS'],
    ['curl/8.5.0', null],
    [null, null],
  ])('%s', (userAgent, words) => {
    expect(describeDevice(userAgent)).toBe(words);
  });
});

describe('addresses', () => {
  it('round-trips', () => {
    for (const hash of ['#/', '#/settings', '#/c/123']) expect(routeHash(parseRoute(hash))).toBe(hash);
  });
  it('takes no id that is not one', () => {
    expect(parseRoute('#/c/..%2f')).toEqual({ page: 'desk', conversation: null });
  });
});
