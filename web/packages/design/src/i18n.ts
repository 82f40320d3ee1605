/** A text, or one text for each plural category of `Intl.PluralRules` (chosen by the parameter `count`). */
export type Text = string | ({ other: string } & Partial<Record<Intl.LDMLPluralRule, string>>);
export type Dictionary<K extends string = string> = Readonly<Record<K, Text>>;
export type Params = Readonly<Record<string, string | number>>;
export type Translate<K extends string> = (key: K, params?: Params) => string;

/** Picks the plural form and fills `{name}` places; numbers are written as the locale writes them. */
export function createTranslate<K extends string>(locale: string, dictionary: Dictionary<K>): Translate<K> {
  const plural = new Intl.PluralRules(locale);
  const number = new Intl.NumberFormat(locale);
  return (key, params = {}) => {
    const entry = dictionary[key];
    const text = typeof entry === 'string' ? entry : (entry[plural.select(Number(params.count))] ?? entry.other);
    return text.replace(/\{(\w+)\}/g, (place, name: string) => {
      const value = params[name];
      return value === undefined ? place : typeof value === 'number' ? number.format(value) : value;
    });
  };
}

/** The first of `supported` that fits a language of the browser: the exact tag, else the same primary language. */
export function pickLocale<L extends string>(wanted: readonly string[], supported: readonly L[], fallback: L): L {
  for (const tag of wanted) {
    const exact = supported.find((locale) => locale.toLowerCase() === tag.toLowerCase());
    const primary = tag.split('-')[0]?.toLowerCase();
    const near = exact ?? supported.find((locale) => locale.split('-')[0]?.toLowerCase() === primary);
    if (near) return near;
  }
  return fallback;
}
