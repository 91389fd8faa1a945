"""The settings of SLURM, its accounting and munge, and options of their daemons."""

COMMON = """\
AuthType=auth/munge
AuthInfo=socket={home}/run/munge.sock,cred_expire=5
{communication}
"""
# The address beside a host's name spares SLURM from resolving it. A requeued job is
# held back for cred_expire. Clients of slurmdbd take the socket from
# AccountingStoragePass, not from AuthInfo. With ReturnToService=2, a node that was set
# DOWN would come back at once. proctrack/linuxproc would leave children of a killed
# batch script behind. A slurmstepd writes to its slurmd's log and is known by that.
SLURM = (
    COMMON
    + """\
ClusterName={cluster}
SlurmctldHost={host}({address})
SlurmctldPort={slurmctld_port}
SlurmUser={user}
SlurmdUser={user}
CredType=cred/munge
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost={address}
AccountingStoragePort={slurmdbd_port}
AccountingStoragePass={home}/run/munge.sock
AccountingStorageEnforce=associations
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool/%n
SlurmctldPidFile={home}/run/slurmctld.pid
SlurmdPidFile={home}/run/slurmd.%n.pid
SlurmdLogFile={log}/steps.%n.log
MailProg=/bin/true
MpiDefault=none
SwitchType=switch/none
ProctrackType=proctrack/pgid
TaskPlugin=task/none
ReturnToService=1
SlurmctldTimeout=30
SlurmdTimeout=10
MessageTimeout=5
KillWait={kill_wait}
MinJobAge=600
BatchStartTimeout=30
UnkillableStepTimeout=30
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=100000,bf_interval=1,batch_sched_delay=0,bf_continue
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
PriorityType=priority/basic
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill,UsePss
DefMemPerCPU=256
SlurmdParameters=config_overrides
{nodes}
PartitionName=DEFAULT Nodes=ALL DefaultTime=60 MaxTime=INFINITE PreemptMode=OFF
PartitionName=debug Default=YES PriorityTier=10
PartitionName=low PriorityTier=1 PreemptMode=REQUEUE
PartitionName=high PriorityTier=100
PartitionName=short PriorityTier=10 DefaultTime=1 MaxTime=1
"""
)
NODE = """\
NodeName={node} NodeHostname={host} NodeAddr={address} Port={port} \
CPUs={cpus} RealMemory={memory} TmpDisk=0
"""
# A slurmd sets up cgroups even where nothing uses them; this kind asks for no mount.
CGROUP = """\
CgroupPlugin=cgroup/v1
CgroupAutomount=no
"""
SLURMDBD = (
    COMMON
    + """\
DbdHost={host}
DbdAddr={address}
DbdPort={slurmdbd_port}
SlurmUser={user}
PidFile={home}/run/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost={address}
StoragePort={mariadbd_port}
StorageUser=slurm
StoragePass={password}
StorageLoc=slurm
"""
)
SQL = """\
CREATE DATABASE slurm;
CREATE USER slurm@{address} IDENTIFIED BY '{password}';
GRANT ALL ON slurm.* TO slurm@{address};
"""
MARIADBD = """\
--no-defaults --user={user} --datadir={home}/db --init-file={home}/etc/init.sql
--socket={home}/run/mariadbd.sock --pid-file={home}/run/mariadbd.pid
--bind-address={address} --port={mariadbd_port} --skip-name-resolve --skip-log-bin
--innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900
--innodb-flush-log-at-trx-commit=2
"""
MUNGED = """\
--foreground --force --num-threads=4 --key-file={home}/etc/munge.key
--socket={home}/run/munge.sock --pid-file={home}/run/munged.pid
--seed-file={home}/run/munged.seed
"""
