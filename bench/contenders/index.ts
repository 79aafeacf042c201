/** All who are compared, by engine. The first is what the others stand against. */
import { isInstalled } from '../packages.ts'
import type { Entrant, Entrants } from './contender.ts'
import { drizzle, drizzlePrepared } from './drizzle.ts'
import { knex } from './knex.ts'
import { kysely } from './kysely.ts'
import { fastifyPostgresPlugin, pipelined, poolNamed, poolText, postgresJs } from './pg-drivers.ts'
import { prisma } from './prisma.ts'
import { sqlMapper } from './sql-mapper.ts'
import { betterSqlite3, nodeSqlite, sqlite3 } from './sqlite-drivers.ts'
import { tandem, tandemNotAwaited } from './tandem.ts'
import { typeorm } from './typeorm.ts'

export const entrants: Entrants = {
  sqlite: [
    betterSqlite3, tandem('sqlite'),
    nodeSqlite, sqlite3, kysely('sqlite'), knex('sqlite'), drizzle('sqlite'), drizzlePrepared('sqlite'), typeorm('sqlite'), sqlMapper('sqlite')
  ],
  postgres: [
    poolNamed, tandem('postgres'), tandemNotAwaited('postgres'),
    poolText, pipelined, fastifyPostgresPlugin, postgresJs, kysely('postgres'), knex('postgres'), drizzle('postgres'), drizzlePrepared('postgres'), typeorm('postgres'), prisma, sqlMapper('postgres')
  ]
}

export function isThere ({ needs = [] }: Pick<Entrant, 'needs'>): boolean {
  return needs.every(isInstalled)
}
