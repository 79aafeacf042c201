/** The meta data of a job that was made up: its name, its script and what Slurm said of it, as JSON. */
import { Choice, zipf, type Random } from './random.ts'

/** 'small': some 60 bytes. 'real': some 800, as in a real database. 'large': 1.5 to 4 KB, which SQLite keeps on pages of their own. */
export type MetaSize = 'small' | 'real' | 'large'
export const metaSizes: readonly MetaSize[] = ['small', 'real', 'large']

/** What stands in it. */
export interface Described { readonly jobId: number, readonly user: string, readonly project: string, readonly partition: string, readonly nodes: number, readonly threads: number }

const words = ['train', 'md_run', 'relax', 'scf', 'cfd', 'post', 'eval', 'build', 'sweep', 'namd', 'vasp', 'lammps', 'gromacs', 'openfoam', 'sim', 'array', 'bench', 'retrain_SNN', 'ams_pipeline', 'jupyter']
const NAMES = 400
const names = new Choice(Array.from({ length: NAMES }, (_, i) => i === 0 ? 'interactive' : `${words[i % words.length]}_${i}`), zipf(NAMES, 1))

/** Each of the lines begins with the line break of the one before. */
const step = 'srun ./solver --input case.dat --output result.dat --checkpoint every=3600\\ncp result.dat $WORK/results/$SLURM_JOB_ID.dat\\n'
const LARGEST_STEPS = 28
const steps = Array.from({ length: LARGEST_STEPS + 1 }, (_, count) => step.repeat(count))

export function makeMetaData (size: MetaSize, job: Described, random: Random): string {
  const name = names.take(random)
  if (size === 'small') return `{"jobName":"${name}","jobScript":"","slurmInfo":""}`
  const count = size === 'real' ? 1 : 7 + Math.floor(random() * (LARGEST_STEPS - 6))
  return `{"jobName":"${name}","jobScript":"${scriptOf(name, job)}${steps[count]}","slurmInfo":"${infoOf(name, job)}"}`
}

function scriptOf (name: string, { partition, nodes }: Described): string {
  return `#!/bin/bash -l\\n#SBATCH --job-name=${name}\\n#SBATCH --partition=${partition}\\n#SBATCH --nodes=${nodes}\\n#SBATCH --export=NONE\\nunset SLURM_EXPORT_ENV\\n`
}

function infoOf (name: string, { jobId, user, project, partition, nodes, threads }: Described): string {
  return `JobId=${jobId}\\nJobName=${name}\\nUserId=${user}(1000)\\nGroupId=${project}(1000)\\nAccount=${project}\\nQOS=normal Requeue=False Restarts=0 BatchFlag=True\\n` +
    `Partition=${partition}\\nNumNodes=${nodes} NumCPUs=${threads} NumTasks=${threads} CPUs/Task=1\\nNTasksPerNode:Socket:Core=0:None:None\\n` +
    `TRES_req=cpu=${threads},node=${nodes},billing=${threads}\\nCommand=/home/hpc/${project}/${user}/job.sh\\nWorkDir=/home/hpc/${project}/${user}\\n`
}
