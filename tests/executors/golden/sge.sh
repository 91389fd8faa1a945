#!/usr/bin/env bash

#$ -N cpengine-abc123
#$ -q short
#$ -P lab
#$ -l h_rt=26:03:04
#$ -e FOLDER/logs/
#$ -o FOLDER/logs/
#$ -cwd
#$ -pe smp 4
export DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED=False
export DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL=500ms
export DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL=5s
module load apptainer
exec /env/bin/python -P -m distributed.cli.dask_worker tls://driver:port --name cpengine-abc123-1-0 --nthreads 4 --memory-limit 0 --no-nanny --death-timeout 60 --no-dashboard --worker-class cpengine.executors.dask.without_http.WorkerWithoutHttp --protocol tls
