// The memory that the process can have: cgroups of both versions, read from a folder that stands for /sys/fs/cgroup.
import { availableParallelism, totalmem } from 'node:os'
import { join } from 'node:path'
import tap from 'tap'
import { cgroupMemoryLimit, readMachine } from '../../plugins/config/machine.ts'

interface Folder { [name: string]: string | Folder }

function filesIn (t: { testdir: typeof tap.testdir }, membership: string, cgroup: Folder) {
  const folder = t.testdir({ membership, cgroup })
  return { cgroupFolder: join(folder, 'cgroup'), membershipFile: join(folder, 'membership') }
}

tap.test('cgroup v2: the limit of the group of this process', async t => {
  const files = filesIn(t, '0::/system.slice/app.service\n', { 'system.slice': { 'app.service': { 'memory.max': '536870912\n' }, 'memory.max': 'max\n' } })
  t.equal(cgroupMemoryLimit(files), 536870912)
})

tap.test('cgroup v2: a group further up can be stricter', async t => {
  const files = filesIn(t, '0::/pod/app\n', { pod: { app: { 'memory.max': '900000000\n' }, 'memory.max': '700000000\n' } })
  t.equal(cgroupMemoryLimit(files), 700000000)
})

tap.test('cgroup v2 in a container: the root of what is mounted', async t => {
  t.equal(cgroupMemoryLimit(filesIn(t, '0::/\n', { 'memory.max': '536870912\n' })), 536870912)
  t.equal(cgroupMemoryLimit(filesIn(t, '0::/../../outside\n', { 'memory.max': '536870912\n' })), 536870912)
})

tap.test('cgroup v1: the limit of the memory controller', async t => {
  const membership = '9:cpu,cpuacct:/app\n4:memory:/docker/abc\n0::/\n'
  const files = filesIn(t, membership, { memory: { docker: { abc: { 'memory.limit_in_bytes': '268435456\n' } }, 'memory.limit_in_bytes': '9223372036854771712\n' } })
  t.equal(cgroupMemoryLimit(files), 268435456)
})

tap.test('no limit, no files, or files that say nothing', async t => {
  t.equal(cgroupMemoryLimit(filesIn(t, '0::/\n', { 'memory.max': 'max\n' })), Infinity)
  t.equal(cgroupMemoryLimit(filesIn(t, 'nonsense', { 'memory.max': '0\n' })), Infinity)
  t.equal(cgroupMemoryLimit({ cgroupFolder: '/nowhere', membershipFile: '/nowhere/else' }), Infinity)
})

tap.test('the machine has the memory of the container if that is less', async t => {
  const machine = readMachine(filesIn(t, '0::/\n', { 'memory.max': '100000000\n' }))
  t.same(machine, { memoryBytes: 100000000, memoryOf: 'container', processors: availableParallelism() })
})

tap.test('the machine has its own memory otherwise', async t => {
  const machine = readMachine(filesIn(t, '4:memory:/\n', { memory: { 'memory.limit_in_bytes': '9223372036854771712\n' } }))
  t.same(machine, { memoryBytes: totalmem(), memoryOf: 'machine', processors: availableParallelism() })
  t.ok(readMachine().memoryBytes <= totalmem())
})
