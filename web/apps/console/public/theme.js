// Sets the chosen scheme before the first paint; the content security policy allows no inline script for it.
(() => {
  try {
    const theme = JSON.parse(localStorage.getItem('unique-cs:preferences') ?? '{}').theme;
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  } catch {
    // Storage is blocked or holds something else: the system's scheme is used.
  }
})();
