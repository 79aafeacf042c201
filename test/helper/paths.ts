export const root = new URL('../../', import.meta.url)
export const stateFile = new URL('.tap/pg.json', root)
export const logFile = new URL('.tap/pg.log', root)
