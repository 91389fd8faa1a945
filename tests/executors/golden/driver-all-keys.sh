#!/bin/bash
#SBATCH -J cpengine-driver
#SBATCH -o /shared/run/.cpengine/driver.log
#SBATCH -n 1
#SBATCH --cpus-per-task=1
#SBATCH --mem=2048M
#SBATCH -t 2-00:00:00
#SBATCH --open-mode=append
#SBATCH -p short
#SBATCH -A lab
#SBATCH --qos=high

module load python
export CPENGINE_HOME=/shared/cpengine
cd 'FOLDER/my run'
exec /env/bin/python -P -m cpengine run illum analysis --on slurm --well 'A 01'
