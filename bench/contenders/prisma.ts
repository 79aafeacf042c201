/**
 * Prisma 7 with adapter-pg, generated when it is needed, without a network: it would look for its schema engine, which generating does not use, so it is told that
 * some other file is that. The client goes beside the packages of bench/package.json, since it looks for `@prisma/client` from where it is.
 */
import { execFile } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { load } from '../packages.ts'
import { CONNECTIONS, operations, type Entrant } from './contender.ts'
import { NOTE, RANGE } from './data.ts'

const schema = `
generator client {
  provider = "prisma-client-js"
  output   = "./client"
}
datasource db {
  provider = "postgresql"
}
model Item {
  id Int @id
  a  Int
  b  String
  c  Float
  @@map("item")
}
model Account {
  id Int @id
  n  Int
  @@map("account")
}
model Entry {
  id      Int @id @default(autoincrement())
  account Int
  n       Int
  @@map("entry")
}
model Note {
  id      Int @id @default(autoincrement())
  account Int
  body    String
  @@map("note")
}
`

/** What of it is used here. */
interface Model {
  findUnique: (options: object) => Promise<{ n: number } | null>
  findMany: (options: object) => Promise<unknown[]>
  update: (options: object) => Promise<unknown>
  create: (options: object) => Promise<unknown>
}
type Models = Record<'item' | 'account' | 'entry' | 'note', Model>
interface Client { PrismaClient: new (options: { adapter: unknown }) => Models & { $transaction: <T>(fn: (tx: Models) => Promise<T>, options: object) => Promise<T>, $disconnect: () => Promise<void> } }
interface Adapter { PrismaPg: new (options: object) => unknown }

/** It gives up a transaction that has waited for 2 s by itself. */
const patience = { maxWait: 60_000, timeout: 60_000 }

export const prisma: Entrant = {
  name: 'Prisma 7',
  needs: ['prisma', '@prisma/client', '@prisma/adapter-pg'],
  can: operations,
  async open (url) {
    const { PrismaClient } = await generate()
    const { PrismaPg } = await load<Adapter>('@prisma/adapter-pg')
    const client = new PrismaClient({ adapter: new PrismaPg({ connectionString: url, max: CONNECTIONS }) })
    return {
      point: async id => await client.item.findUnique({ where: { id } }) ?? undefined,
      list: id => client.item.findMany({ where: { id: { gte: id } }, orderBy: { id: 'asc' }, take: RANGE }),
      insert: account => client.note.create({ data: { account, body: NOTE } }),
      transfer: account => client.$transaction(async tx => {
        const row = await tx.account.findUnique({ where: { id: account } })
        await tx.account.update({ where: { id: account }, data: { n: { increment: 1 } } })
        await tx.entry.create({ data: { account, n: row?.n } })
      }, patience),
      close: () => client.$disconnect()
    }
  }
}

async function generate (): Promise<Client> {
  const require = createRequire(import.meta.url)
  const cli = require.resolve('prisma/build/index.js')
  const folder = join(dirname(cli), '..', '..', '.tandem-bench', String(process.pid))
  mkdirSync(folder, { recursive: true })
  process.once('exit', () => { rmSync(folder, { recursive: true, force: true }) })
  const path = join(folder, 'schema.prisma')
  writeFileSync(path, schema)
  await promisify(execFile)(process.execPath, [cli, 'generate', '--schema', path], { env: { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: path, PRISMA_HIDE_UPDATE_MESSAGE: '1', CHECKPOINT_DISABLE: '1' } })
  return await load<Client>(pathToFileURL(join(folder, 'client', 'index.js')).href)
}
