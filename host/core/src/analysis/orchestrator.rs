//! The predecessor's names for what is found, for the compatible API.

use super::finding_codes::Code;
use super::report::Finding;

/// How the names of structure warnings end.
const WARNING: &str = "StructureWarning";

impl Code {
    /// orchestrator's analysis code; `NoProblem` where it has none.
    pub fn orchestrator(self) -> &'static str {
        let mut names = self.orchestrator_names().iter();
        let code = names.find(|name| !name.ends_with(WARNING));
        code.copied().unwrap_or("NoProblem")
    }

    /// orchestrator's structure warnings that this code can stand for; which of them is a matter of
    /// the evidence.
    pub fn structure_warnings(self) -> Vec<&'static str> {
        let names = self.orchestrator_names().iter();
        names
            .filter(|name| name.ends_with(WARNING))
            .copied()
            .collect()
    }
}

impl Finding {
    /// The structure warnings of orchestrator that this finding stands for; usually none.
    pub fn structure_warnings(&self) -> Vec<&'static str> {
        let mut warnings = self.code.structure_warnings();
        if warnings.len() > 1 {
            warnings.retain(|warning| self.shows(warning));
        }
        warnings
    }

    /// Formats are told apart by the evidence: `statement-and-row` is said by `StatementAndRow...`.
    fn shows(&self, warning: &str) -> bool {
        let squeezed = warning.to_ascii_lowercase();
        self.evidence
            .iter()
            .any(|found| squeezed.starts_with(&found.code.replace('-', "")))
    }
}
