#!/usr/bin/env bash

#SBATCH -J cpengine-abc123
#SBATCH -n 1
#SBATCH --cpus-per-task=4
#SBATCH --mem=10240M
#SBATCH -t 04:00:00
#SBATCH -e FOLDER/logs/cpengine-abc123-%J.err
#SBATCH -o FOLDER/logs/cpengine-abc123-%J.out
#SBATCH --open-mode=append
#SBATCH --requeue
export DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED=False
export DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL=500ms
export DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL=5s
exec /env/bin/python -P -m distributed.cli.dask_worker tls://driver:port --name cpengine-abc123-1-${SLURM_RESTART_COUNT:-0} --nthreads 4 --memory-limit 0 --no-nanny --death-timeout 60 --no-dashboard --worker-class cpengine.executors.dask.without_http.WorkerWithoutHttp --protocol tls
