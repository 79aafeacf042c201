/** Which versions of the plugin are understood. */
import { PluginTooOld } from './errors.ts'

export const LEAST_PLUGIN_VERSION = '1.0.0'

/** Throws `PLUGIN_TOO_OLD`. */
export function checkPluginVersion (version: string): void {
  if (isOlder(version, LEAST_PLUGIN_VERSION)) throw new PluginTooOld(version, LEAST_PLUGIN_VERSION)
}

/** By numbers; a part that is missing is 0. */
export function isOlder (version: string, than: string): boolean {
  const [a, b] = [version, than].map(text => text.split('.').map(Number))
  for (let i = 0; i < 4; i++) {
    const difference = (a?.[i] ?? 0) - (b?.[i] ?? 0)
    if (difference !== 0) return difference < 0
  }
  return false
}
