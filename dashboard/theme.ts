export type Theme = 'auto' | 'light' | 'dark'

const THEMES: readonly Theme[] = ['auto', 'light', 'dark']
const THEME_KEY = 'pg-metako theme'

export function currentTheme(): Theme {
  return THEMES.find((one) => one === localStorage.getItem(THEME_KEY)) ?? 'auto'
}

export function applyTheme(theme: Theme): void {
  localStorage.setItem(THEME_KEY, theme)
  document.documentElement.dataset['theme'] = theme
}

export function themeAfter(theme: Theme): Theme {
  return THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? 'auto'
}
