import { describe, expect, it } from 'vitest';
import { createTranslate } from '@unique-cs/design';
import { ApiError } from '../src/lib/api';
import { en } from '../src/i18n/en';
import { explain } from '../src/lib/explain';
import { mayAdminister, mayReset } from '../src/state/team';
import { ME, run } from './words';

const person = (id: string, role: string) => ({ id, name: id, email: `${id}@example.com`, role, disabled: false });

describe('the team', () => {
  it('is administered by owners and administrators', () => {
    expect(['owner', 'admin', 'agent'].filter((role) => mayAdminister(person('1', role)))).toEqual(['owner', 'admin']);
  });

  it.each([
    ['owner', ['admin', 'agent']],
    ['admin', ['agent']],
    ['agent', []],
  ])('%s may reset the passwords of %s', (mine, theirs) => {
    const me = person('1', mine);
    expect(['owner', 'admin', 'agent'].filter((role) => mayReset(me, person('2', role)))).toEqual(theirs);
    expect(mayReset(me, me)).toBe(false);
  });

  it('tells this agent of a new role and name', () => {
    const agents = [person('9001', 'admin'), person('2', 'agent')];
    const state = run([{ type: 'people', agents }]);
    expect(state.me).toEqual({ ...ME, name: '9001', role: 'admin' });
    expect(run([{ type: 'people', agents }], state).me).toBe(state.me);
    expect(run([{ type: 'people', agents: [] }], state).me).toBe(state.me);
  });

  it('says in words what went wrong', () => {
    const t = createTranslate<keyof typeof en>('en', en);
    const words = { 409: 'team.taken' } as const;
    expect(explain(t, new ApiError(409, 'conflict', 'x'), words)).toBe('Another agent has this e-mail.');
    expect(explain(t, new ApiError(0, 'network', 'x'), words)).toContain('does not answer');
    expect(explain(t, new ApiError(429, 'rate_limited', 'x', 7), words)).toContain('7 seconds');
    expect(explain(t, new ApiError(500, 'internal', 'boom'), words)).toContain('boom');
  });
});
