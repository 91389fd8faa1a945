#!/usr/bin/env bash

#BSUB -J cpengine-abc123
#BSUB -e FOLDER/logs/cpengine-abc123-1-0-%J.err
#BSUB -o FOLDER/logs/cpengine-abc123-1-0-%J.out
#BSUB -q short
#BSUB -P "lab"
#BSUB -n 4
#BSUB -R "span[hosts=1]"
#BSUB -W 26:03
#BSUB -x
export DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED=False
export DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL=500ms
export DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL=5s
module load apptainer
exec /env/bin/python -P -m distributed.cli.dask_worker tls://driver:port --name cpengine-abc123-1-0 --nthreads 4 --memory-limit 0 --no-nanny --death-timeout 60 --no-dashboard --worker-class cpengine.executors.dask.without_http.WorkerWithoutHttp --protocol tls
