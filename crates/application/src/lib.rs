//! Ports, lease loop, steps and workers of the DomainProvisioningService.
