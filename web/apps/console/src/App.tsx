import { useCallback, useEffect, useState } from 'react';
import { Desk } from './desk/desk';
import { SignIn, type SignInReason } from './features/signin/SignIn';
import { Workspace } from './features/Workspace';
import { forgetDrafts } from './lib/drafts';
import { clearSession, loadSession, onSessionCleared, saveSession, type Session } from './lib/session';
import { CrashGuard } from './ui/CrashGuard';
import { DeskContext } from './ui/context';

export function App() {
  const [session, setSession] = useState<Session | null>(loadSession);
  const [reason, setReason] = useState<SignInReason | null>(null);

  const signIn = (fresh: Session, stay: boolean) => {
    saveSession(fresh, stay);
    setSession(fresh);
  };
  const leave = useCallback((why: SignInReason) => {
    clearSession();
    if (why !== 'ended') forgetDrafts();
    setReason(why);
    setSession(null);
  }, []);

  useEffect(() => (session ? onSessionCleared(() => leave('signedout')) : undefined), [session, leave]);

  if (!session) return <SignIn reason={reason} onSignIn={signIn} />;
  return <SignedIn key={session.token} session={session} onLeave={leave} />;
}

function SignedIn({ session, onLeave }: { session: Session; onLeave: (why: SignInReason) => void }) {
  const [desk, setDesk] = useState<Desk | null>(null);
  useEffect(() => {
    const fresh = new Desk(session, onLeave);
    fresh.start();
    setDesk(fresh);
    return () => fresh.stop();
  }, [session, onLeave]);
  if (!desk) return null;
  return (
    <DeskContext value={desk}>
      <CrashGuard>
        <Workspace />
      </CrashGuard>
    </DeskContext>
  );
}
