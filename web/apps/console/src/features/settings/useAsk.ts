import { useState } from 'react';
import { useT } from '../../i18n';
import { explain, type Words } from '../../lib/explain';

/** One request at a time: whether it runs, and what went wrong with the last one. */
export function useAsk(words?: Words) {
  const t = useT();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const ask = async <V>(work: () => Promise<V>, then: (answer: V) => void) => {
    setBusy(true);
    setProblem(null);
    try {
      then(await work());
    } catch (error) {
      setProblem(explain(t, error, words));
    } finally {
      setBusy(false);
    }
  };
  return { busy, problem, ask };
}
