//! review
use viaduct_base::ProjectId;
use crate::stage::GateName;
#[derive(Debug)]
pub struct OpenedGate{project:ProjectId,gate:GateName}
impl OpenedGate { pub fn project(&self)->ProjectId{self.project} pub fn gate(&self)->GateName{self.gate}
#[cfg(test)] pub(crate) fn for_test(project:ProjectId,gate:GateName)->Self{Self{project,gate}} }
