/** The packages of bench/package.json. They are not there for everybody, so neither are their types: who loads one says what of it is used. */

export function isInstalled (name: string): boolean {
  try {
    return import.meta.resolve(name) !== ''
  } catch {
    return false
  }
}

/** A module that the compiler does not know. */
export async function load<T> (name: string): Promise<T> {
  return await import(name) as T
}
