#!/bin/bash
#SBATCH -J cpengine-driver
#SBATCH -o /shared/run/.cpengine/driver.log
#SBATCH -n 1
#SBATCH --cpus-per-task=1
#SBATCH --mem=2048M
#SBATCH -t 1-00:00:00
#SBATCH --open-mode=append

cd 'FOLDER/my run'
exec /env/bin/python -P -m cpengine run illum analysis --on slurm --well 'A 01'
