/** What every page does: the theme, the menu, signing out. */
import { change } from './api.js'
import { tellError } from './dom.js'

const THEMES = ['system', 'light', 'dark']

const themeButton = document.getElementById('theme')

themeButton?.addEventListener('click', () => {
  const root = document.documentElement
  const theme = THEMES[(THEMES.indexOf(root.dataset.theme ?? '') + 1) % THEMES.length] ?? 'system'
  root.dataset.theme = theme
  themeButton.title = `Theme: ${theme}`
  themeButton.setAttribute('aria-label', themeButton.title)
  document.cookie = `vault_theme=${theme}; path=/; max-age=31536000; samesite=lax`
  // for this person's other browsers; this one knows it already
  if (document.getElementById('logout') !== null) void change('PATCH', '/auth/me', { theme }).catch(() => {})
})

document.getElementById('logout')?.addEventListener('click', () => {
  change('POST', '/auth/logout').then(() => { location.assign('/') }, tellError)
})

/** A menu closes when something else is meant. */
document.addEventListener('click', ({ target }) => {
  for (const menu of document.querySelectorAll('details.menu[open]')) if (target instanceof Node && !menu.contains(target)) menu.removeAttribute('open')
})

document.addEventListener('keydown', ({ key }) => {
  const menu = document.querySelector('details.menu[open]')
  if (key !== 'Escape' || menu === null) return
  menu.removeAttribute('open')
  menu.querySelector('summary')?.focus()
})
