/** What the server lets whom do with agents; the screens offer no more than that. */
import type { Agent, Member } from '../model';

export function mayAdminister(me: Agent): boolean {
  return me.role === 'owner' || me.role === 'admin';
}

/** An administrator resets agents' passwords, an owner those of administrators too; nobody an owner's or their own. */
export function mayReset(me: Agent, member: Member): boolean {
  if (member.id === me.id || member.role === 'owner') return false;
  return me.role === 'owner' || (me.role === 'admin' && member.role === 'agent');
}
