import { useEffect, useRef, type ReactNode } from 'react';

interface Props {
  label: string;
  className?: string | undefined;
  onClose: () => void;
  /** A click beside the dialog does not close it. */
  keep?: boolean;
  children: ReactNode;
}

/** The browser's own modal dialog: it keeps the focus, closes on Escape, and gives the focus back. */
export function Modal({ label, className, onClose, keep = false, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    if (element && !element.open) element.showModal();
    return () => element?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      className={className}
      aria-label={label}
      onClose={onClose}
      onPointerDown={(event) => !keep && event.target === dialog.current && onClose()}
    >
      {children}
    </dialog>
  );
}
