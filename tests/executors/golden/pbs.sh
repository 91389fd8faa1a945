#!/usr/bin/env bash

#PBS -N cpengine-abc123
#PBS -q short
#PBS -A lab
#PBS -l select=1:ncpus=4:mem=31232MB
#PBS -l walltime=26:03:04
#PBS -o FOLDER/logs/
#PBS -l place=pack
export DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED=False
export DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL=500ms
export DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL=5s
module load apptainer
exec /env/bin/python -P -m distributed.cli.dask_worker tls://driver:port --name cpengine-abc123-1-0 --nthreads 4 --memory-limit 0 --no-nanny --death-timeout 60 --no-dashboard --worker-class cpengine.executors.dask.without_http.WorkerWithoutHttp --protocol tls
