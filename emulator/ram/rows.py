"""The table behind `resources`: for each action of each service, what it touches. How a row reads is said there.

Sources: authorization tables of the ECS, CLB, PrivateZone, VPC and RAM documentation where public copies show them
(CreateSnapshot: disk and `snapshot/*`; DescribeSnapshotGroups: `snapshotgroup/*` or the groups that are named; CLB:
`loadbalancer/ID`, and the servers of its backends; RunInstances spans `ecs` and `vpc`). Assumptions: all other rows
follow the same pattern; all resources of a row are mandatory; describing calls with ids are asked about `kind/*`,
except groups; actions about nothing in particular need a policy on `*`.
"""

from typing import Final

ECS: Final = """
AllocatePublicIpAddress        instance/InstanceId
ApplyAutoSnapshotPolicy        snapshotpolicy/autoSnapshotPolicyId disk/diskIds
AssignPrivateIpAddresses       eni/NetworkInterfaceId
AssociateEipAddress            instance/InstanceId
AttachDisk                     disk/DiskId instance/InstanceId
AttachInstanceRamRole          instance/InstanceIds
AttachNetworkInterface         eni/NetworkInterfaceId instance/InstanceId
AuthorizeSecurityGroup         securitygroup/SecurityGroupId
AuthorizeSecurityGroupEgress   securitygroup/SecurityGroupId
CancelAutoSnapshotPolicy       disk/diskIds
CancelCopyImage                image/ImageId
CopyImage                      image/ImageId image/*
CopySnapshot                   snapshot/SnapshotId snapshot/*
CreateAutoSnapshotPolicy       snapshotpolicy/*
CreateCommand                  command/*
CreateDisk                     disk/* snapshot/SnapshotId? instance/InstanceId?
CreateImage                    image/* snapshot/SnapshotId? instance/InstanceId?
                               snapshot/DiskDeviceMapping.N.SnapshotId?
CreateInstance                 instance/* image/ImageId securitygroup/SecurityGroupId vpc:vswitch/VSwitchId
                               snapshot/DataDisk.N.SnapshotId? keypair/KeyPairName?
CreateNetworkInterface         eni/* securitygroup/SecurityGroupId? securitygroup/SecurityGroupIds.N?
                               vpc:vswitch/VSwitchId
CreateSecurityGroup            securitygroup/* vpc:vpc/VpcId?
CreateSimulatedSystemEvents    instance/InstanceId.N
CancelSimulatedSystemEvents    *
CreateSnapshot                 disk/DiskId snapshot/*
CreateSnapshotGroup            snapshotgroup/* snapshot/* instance/InstanceId? disk/DiskId.N?
DeleteAutoSnapshotPolicy       snapshotpolicy/autoSnapshotPolicyId
DeleteCommand                  command/CommandId
DeleteDisk                     disk/DiskId
DeleteImage                    image/ImageId
DeleteInstance                 instance/InstanceId
DeleteInstances                instance/InstanceId.N
DeleteNetworkInterface         eni/NetworkInterfaceId
DeleteSecurityGroup            securitygroup/SecurityGroupId
DeleteSnapshot                 snapshot/SnapshotId
DeleteSnapshotGroup            snapshotgroup/SnapshotGroupId
DescribeAutoSnapshotPolicyAssociations snapshotpolicy/*
DescribeAutoSnapshotPolicyEx   snapshotpolicy/*
DescribeAvailableResource      *
DescribeCloudAssistantStatus   instance/*
DescribeCommands               command/*
DescribeDisks                  disk/*
DescribeDisksFullStatus        disk/*
DescribeEipAddresses           vpc:eip/*
DescribeImageFromFamily        image/*
DescribeImageSharePermission   image/ImageId
DescribeImages                 image/*
DescribeInstanceAttribute      instance/InstanceId
DescribeInstanceHistoryEvents  instance/*
DescribeInstanceMaintenanceAttributes instance/*
DescribeInstanceRamRole        instance/*
DescribeInstanceStatus         instance/*
DescribeInstanceTypes          *
DescribeInstances              instance/*
DescribeInstancesFullStatus    instance/*
DescribeInvocationResults      instance/*
DescribeInvocations            instance/*
DescribeLockedSnapshots        snapshot/*
DescribeNetworkInterfaceAttribute eni/NetworkInterfaceId
DescribeNetworkInterfaces      eni/*
DescribeRegions                *
DescribeSecurityGroupAttribute securitygroup/SecurityGroupId
DescribeSecurityGroupReferences securitygroup/SecurityGroupId.N
DescribeSecurityGroups         securitygroup/*
DescribeSnapshotGroups         snapshotgroup/SnapshotGroupId.N
DescribeSnapshotLinks          snapshot/*
DescribeSnapshotMonitorData    snapshot/*
DescribeSnapshots              snapshot/*
DescribeSnapshotsUsage         snapshot/*
DescribeTaskAttribute          *
DescribeTasks                  *
DescribeUserData               instance/InstanceId
DescribeVSwitches              vpc:vswitch/*
DescribeVpcs                   vpc:vpc/*
DescribeZones                  *
DetachDisk                     disk/DiskId instance/InstanceId
DetachInstanceRamRole          instance/InstanceIds
DetachNetworkInterface         eni/NetworkInterfaceId instance/InstanceId
InvokeCommand                  command/CommandId instance/InstanceId.N
JoinSecurityGroup              securitygroup/SecurityGroupId instance/InstanceId? eni/NetworkInterfaceId?
LeaveSecurityGroup             securitygroup/SecurityGroupId instance/InstanceId? eni/NetworkInterfaceId?
ListTagResources               @tagged
LockSnapshot                   snapshot/SnapshotId
ModifyAutoSnapshotPolicyEx     snapshotpolicy/autoSnapshotPolicyId
ModifyDiskAttribute            disk/DiskId? disk/DiskIds.N?
ModifyImageAttribute           image/ImageId
ModifyImageSharePermission     image/ImageId
ModifyInstanceAttribute        instance/InstanceId
ModifyInstanceAutoReleaseTime  instance/InstanceId
ModifyInstanceMaintenanceAttributes instance/InstanceId.N
ModifyInstanceVpcAttribute     instance/InstanceId vpc:vswitch/VSwitchId
ModifyNetworkInterfaceAttribute eni/NetworkInterfaceId
ModifySecurityGroupAttribute   securitygroup/SecurityGroupId
ModifySecurityGroupPolicy      securitygroup/SecurityGroupId
ModifySnapshotAttribute        snapshot/SnapshotId
ModifySnapshotCategory         snapshot/SnapshotId
ModifySnapshotGroup            snapshotgroup/SnapshotGroupId
ReInitDisk                     disk/DiskId
RebootInstance                 instance/InstanceId
RebootInstances                instance/InstanceId.N
RedeployInstance               instance/InstanceId
AcceptInquiredSystemEvent      *
ReleasePublicIpAddress         instance/InstanceId?
ReplaceSystemDisk              instance/InstanceId image/ImageId
ResetDisk                      disk/DiskId snapshot/SnapshotId
ResetDisks                     disk/Disk.N.DiskId snapshot/Disk.N.SnapshotId
ResizeDisk                     disk/DiskId
RevokeSecurityGroup            securitygroup/SecurityGroupId
RevokeSecurityGroupEgress      securitygroup/SecurityGroupId
RunCommand                     command/* instance/InstanceId.N
RunInstances                   instance/* image/ImageId? securitygroup/SecurityGroupId?
                               securitygroup/SecurityGroupIds.N? vpc:vswitch/VSwitchId? snapshot/DataDisk.N.SnapshotId?
                               securitygroup/NetworkInterface.N.SecurityGroupId?
                               securitygroup/NetworkInterface.N.SecurityGroupIds.N?
                               vpc:vswitch/NetworkInterface.N.VSwitchId? keypair/KeyPairName?
SendFile                       instance/InstanceId.N
StartInstance                  instance/InstanceId
StartInstances                 instance/InstanceId.N
StopInstance                   instance/InstanceId
StopInstances                  instance/InstanceId.N
StopInvocation                 instance/InstanceId.N
TagResources                   @tagged
UnassignPrivateIpAddresses     eni/NetworkInterfaceId
UnassociateEipAddress          instance/InstanceId
UnlockSnapshot                 snapshot/SnapshotId
UntagResources                 @tagged
"""

SLB: Final = """
AddBackendServers              loadbalancer/LoadBalancerId @servers
AddVServerGroupBackendServers  @vservergroup @servers
CreateLoadBalancer             loadbalancer/*
CreateLoadBalancerHTTPListener loadbalancer/LoadBalancerId
CreateLoadBalancerTCPListener  loadbalancer/LoadBalancerId
CreateVServerGroup             loadbalancer/LoadBalancerId
DeleteLoadBalancer             loadbalancer/LoadBalancerId
DeleteLoadBalancerListener     loadbalancer/LoadBalancerId
DeleteVServerGroup             @vservergroup
DescribeHealthStatus           loadbalancer/LoadBalancerId
DescribeLoadBalancerAttribute  loadbalancer/LoadBalancerId
DescribeLoadBalancerHTTPListenerAttribute loadbalancer/LoadBalancerId
DescribeLoadBalancerListeners  loadbalancer/*
DescribeLoadBalancerTCPListenerAttribute loadbalancer/LoadBalancerId
DescribeLoadBalancers          loadbalancer/*
DescribeRegions                *
DescribeVServerGroupAttribute  @vservergroup
DescribeVServerGroups          loadbalancer/LoadBalancerId
DescribeZones                  *
ModifyVServerGroupBackendServers @vservergroup @servers
RemoveBackendServers           loadbalancer/LoadBalancerId @servers
RemoveVServerGroupBackendServers @vservergroup @servers
SetBackendServers              loadbalancer/LoadBalancerId @servers
SetLoadBalancerDeleteProtection loadbalancer/LoadBalancerId
SetLoadBalancerHTTPListenerAttribute loadbalancer/LoadBalancerId
SetLoadBalancerName            loadbalancer/LoadBalancerId
SetLoadBalancerStatus          loadbalancer/LoadBalancerId
SetLoadBalancerTCPListenerAttribute loadbalancer/LoadBalancerId
SetVServerGroupAttribute       @vservergroup @servers
StartLoadBalancerListener      loadbalancer/LoadBalancerId
StopLoadBalancerListener       loadbalancer/LoadBalancerId
"""

PVTZ: Final = """
AddZone                        zone/*
AddZoneRecord                  zone/ZoneId
BindZoneVpc                    zone/ZoneId
CheckZoneName                  zone/*
DeleteZone                     zone/ZoneId
DeleteZoneRecord               @zone
DescribeChangeLogs             zone/ZoneId
DescribeRegions                *
DescribeUserServiceStatus      *
DescribeZoneInfo               zone/ZoneId
DescribeZoneRecord             @zone
DescribeZoneRecords            zone/ZoneId
DescribeZoneVpcTree            zone/*
DescribeZones                  zone/*
SetProxyPattern                zone/ZoneId
SetZoneLbaStatus               zone/ZoneId
SetZoneRecordStatus            @zone
UpdateRecordRemark             @zone
UpdateZoneRecord               @zone
UpdateZoneRecordWeight         @zone
UpdateZoneRemark               zone/ZoneId
"""

ALIDNS: Final = """
AddDomain                      domain/*
AddDomainRecord                domain/DomainName
DeleteDomain                   domain/DomainName
DeleteDomainRecord             @domain
DeleteSubDomainRecords         domain/DomainName
DescribeDNSSLBSubDomains       domain/DomainName
DescribeDomainInfo             domain/DomainName
DescribeDomainRecordInfo       @domain
DescribeDomainRecords          domain/DomainName
DescribeDomains                domain/*
DescribeRecordLogs             domain/DomainName
DescribeSubDomainRecords       @subdomain
SetDNSSLBStatus                @subdomain
SetDomainRecordStatus          @domain
UpdateDNSSLBWeight             @domain
UpdateDomainRecord             @domain
UpdateDomainRecordRemark       @domain
"""

VPC: Final = """
AllocateEipAddress             eip/*
AssociateEipAddress            eip/AllocationId @bound
CreateVSwitch                  vswitch/* vpc/VpcId
CreateVpc                      vpc/*
DeleteVSwitch                  vswitch/VSwitchId
DeleteVpc                      vpc/VpcId
DescribeEipAddresses           eip/*
DescribeRegions                *
DescribeVSwitchAttributes      vswitch/VSwitchId
DescribeVSwitches              vswitch/*
DescribeVpcAttribute           vpc/VpcId
DescribeVpcs                   vpc/*
DescribeZones                  *
ModifyEipAddressAttribute      eip/AllocationId
ModifyVSwitchAttribute         vswitch/VSwitchId
ModifyVpcAttribute             vpc/VpcId
ReleaseEipAddress              eip/AllocationId
UnassociateEipAddress          eip/AllocationId @bound
"""

ESS: Final = """
AttachInstances                scalinggroup/ScalingGroupId
AttachLoadBalancers            scalinggroup/ScalingGroupId
AttachVServerGroups            scalinggroup/ScalingGroupId
CancelInstanceRefresh          scalinggroup/ScalingGroupId
CompleteLifecycleAction        *
CreateAlarm                    *
CreateLifecycleHook            scalinggroup/ScalingGroupId
CreateNotificationConfiguration scalinggroup/ScalingGroupId
CreateScalingConfiguration     scalinggroup/ScalingGroupId
CreateScalingGroup             scalinggroup/*
CreateScalingRule              scalinggroup/ScalingGroupId
DeactivateScalingConfiguration *
DeleteLifecycleHook            *
DeleteScalingConfiguration     *
DeleteScalingGroup             scalinggroup/ScalingGroupId
DeleteScalingRule              *
DescribeInstanceRefreshes      scalinggroup/ScalingGroupId
DescribeLifecycleActions       *
DescribeLifecycleHooks         *
DescribeRegions                *
DescribeScalingActivities      scalinggroup/ScalingGroupId
DescribeScalingActivityDetail  *
DescribeScalingConfigurations  scalinggroup/ScalingGroupId
DescribeScalingGroups          scalinggroup/*
DescribeScalingInstances       scalinggroup/ScalingGroupId
DescribeScalingRules           scalinggroup/ScalingGroupId
DetachInstances                scalinggroup/ScalingGroupId
DetachLoadBalancers            scalinggroup/ScalingGroupId
DetachVServerGroups            scalinggroup/ScalingGroupId
DisableScalingGroup            scalinggroup/ScalingGroupId
EnableScalingGroup             scalinggroup/ScalingGroupId
EnterStandby                   scalinggroup/ScalingGroupId
ExecuteScalingRule             *
ExitStandby                    scalinggroup/ScalingGroupId
ModifyLifecycleHook            *
ModifyScalingConfiguration     *
ModifyScalingGroup             scalinggroup/ScalingGroupId
ModifyScalingRule              *
RebalanceInstances             scalinggroup/ScalingGroupId
RecordLifecycleActionHeartbeat *
RemoveInstances                scalinggroup/ScalingGroupId
ResumeProcesses                scalinggroup/ScalingGroupId
ScaleWithAdjustment            scalinggroup/ScalingGroupId
SetGroupDeletionProtection     scalinggroup/ScalingGroupId
SetInstanceHealth              *
SetInstancesProtection         scalinggroup/ScalingGroupId
StartInstanceRefresh           scalinggroup/ScalingGroupId
SuspendProcesses               scalinggroup/ScalingGroupId
"""

STS: Final = """
AssumeRole                     @assumed
GetCallerIdentity
"""
