#!/usr/bin/env bash

#SBATCH -J cpengine-abc123
#SBATCH -n 1
#SBATCH --cpus-per-task=8
#SBATCH -t 1-02:03:04
#SBATCH -e FOLDER/logs/cpengine-abc123-%J.err
#SBATCH -o FOLDER/logs/cpengine-abc123-%J.out
#SBATCH -p short
#SBATCH -A lab
#SBATCH --open-mode=append
#SBATCH --qos=high
#SBATCH --exclude=n1,n2
#SBATCH --no-requeue
#SBATCH --constraint=avx2
#SBATCH --gres=tmp:20G
export DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED=False
export DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL=500ms
export DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL=5s
module load apptainer
export OMP_NUM_THREADS=1
exec /env/bin/python -P -m distributed.cli.dask_worker tls://10.0.0.1:8786 --name cpengine-abc123-1-${SLURM_RESTART_COUNT:-0} --nthreads 8 --memory-limit 0 --no-nanny --death-timeout 60 --no-dashboard --worker-class cpengine.executors.dask.without_http.WorkerWithoutHttp --tls-ca-file FOLDER/ca_file.pem --tls-cert FOLDER/worker_cert.pem --tls-key FOLDER/worker_key.pem --interface ib0 --protocol tls
