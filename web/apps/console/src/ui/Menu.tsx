import { Menu as Base } from '@base-ui/react/menu';
import { Check } from 'lucide-react';
import type { ReactElement, ReactNode } from 'react';
import css from './Menu.module.css';

interface Props {
  trigger: ReactElement;
  children: ReactNode;
  align?: 'start' | 'center' | 'end';
  side?: 'top' | 'bottom' | 'right';
  onOpen?: () => void;
}

export function Menu({ trigger, children, align = 'end', side = 'bottom', onOpen }: Props) {
  return (
    <Base.Root modal={false} onOpenChange={(open) => open && onOpen?.()}>
      <Base.Trigger render={trigger} />
      <Base.Portal>
        <Base.Positioner className={css.positioner} align={align} side={side} sideOffset={6}>
          <Base.Popup className={css.popup}>{children}</Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  );
}

export function MenuItem({ onSelect, children, hint, tone }: {
  onSelect: () => void;
  children: ReactNode;
  hint?: ReactNode;
  tone?: 'danger';
}) {
  return (
    <Base.Item className={css.item} data-tone={tone} onClick={onSelect}>
      {children}
      {hint && <span className={css.hint}>{hint}</span>}
    </Base.Item>
  );
}

export function MenuChoice<V extends string>({ label, value, onChange, options }: {
  label: string;
  value: V;
  onChange: (value: V) => void;
  options: readonly { value: V; label: ReactNode }[];
}) {
  return (
    <MenuGroup label={label}>
      <Base.RadioGroup value={value} onValueChange={(next) => onChange(next as V)}>
        {options.map((option) => (
          <Base.RadioItem key={option.value} value={option.value} className={css.item} closeOnClick>
            {option.label}
            <Base.RadioItemIndicator className={css.check}>
              <Check size={15} />
            </Base.RadioItemIndicator>
          </Base.RadioItem>
        ))}
      </Base.RadioGroup>
    </MenuGroup>
  );
}

export function MenuGroup({ label, children }: { label: string; children: ReactNode }) {
  return (
    <Base.Group>
      <Base.GroupLabel className={css.label}>{label}</Base.GroupLabel>
      {children}
    </Base.Group>
  );
}

export function MenuLine() {
  return <div className={css.line} role="separator" />;
}
