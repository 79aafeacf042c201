/** A real engine whose transactions are counted as they begin and end. */
import type { Connection, Engine } from '../../plugins/db/types.ts'

export interface Counts { begun: number, committed: number, rolledBack: number, released: number, mostPerConnection: number }

export function countTransactions (engine: Engine): { engine: Engine, counts: Counts } {
  const counts: Counts = { begun: 0, committed: 0, rolledBack: 0, released: 0, mostPerConnection: 0 }
  const begin: Engine['begin'] = async (...args) => {
    const connection = await engine.begin(...args)
    counts.begun++
    return watch(connection, counts)
  }
  return { counts, engine: override(engine, { begin }) }
}

function watch (connection: Connection, counts: Counts): Connection {
  let commits = 0
  return override(connection, {
    commit: async limits => {
      counts.mostPerConnection = Math.max(counts.mostPerConnection, ++commits)
      await connection.commit(limits)
      counts.committed++
    },
    rollback: async () => {
      counts.rolledBack++
      await connection.rollback()
    },
    release: () => {
      counts.released++
      connection.release()
    }
  })
}

/** The same object with some of its methods replaced. */
function override<T extends object> (object: T, methods: Partial<T>): T {
  return new Proxy(object, {
    get: (target, name) => {
      const own = (methods as Record<PropertyKey, unknown>)[name]
      if (own !== undefined) return own
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    }
  })
}
