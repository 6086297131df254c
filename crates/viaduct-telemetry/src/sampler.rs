//! Which traces are kept.

use crate::context::TraceContext;

/// Decides at a trace's first span here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// Whether the caller's decision is taken over, where there is one.
    follows_parent: bool,
    /// The share of the others that is kept.
    ratio: f64,
}

impl Sampler {
    /// By its names in `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`.
    ///
    /// # Errors
    /// What is wanted instead.
    pub fn read(name: &str, argument: &str) -> Result<Self, &'static str> {
        let ratio = || match argument.trim() {
            "" => Ok(1.0),
            text => text
                .parse()
                .ok()
                .filter(|ratio| (0.0..=1.0).contains(ratio))
                .ok_or("with a ratio from 0 to 1 as its argument"),
        };
        let (plain, follows_parent) = match name.trim().strip_prefix("parentbased_") {
            Some(plain) => (plain, true),
            None => (name.trim(), false),
        };
        let ratio = match plain {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => ratio()?,
            _ => {
                return Err("`always_on`, `always_off`, `traceidratio`, or one of these behind \
                            `parentbased_`");
            }
        };
        Ok(Self { follows_parent, ratio })
    }

    /// Why by the id: every service that keeps the same share keeps the same traces.
    pub(crate) fn keeps(self, context: TraceContext, has_parent: bool) -> bool {
        if has_parent && self.follows_parent {
            return context.is_sampled();
        }
        let low = context.trace as u64 >> 1;
        self.ratio >= 1.0 || (low as f64) < self.ratio * (1_u64 << 63) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_decides_where_it_is_followed() {
        let kept = TraceContext { trace: 7, span: 1, flags: 1 };
        let left = kept.sampled(false);
        let parent = Sampler::read("parentbased_always_on", "").unwrap();
        assert!(parent.keeps(kept, true) && !parent.keeps(left, true) && parent.keeps(left, false));
        let never = Sampler::read("parentbased_always_off", "").unwrap();
        assert!(never.keeps(kept, true) && !never.keeps(left, false));
        let always = Sampler::read("always_on", "").unwrap();
        assert!(always.keeps(left, true));
        assert!(!Sampler::read("always_off", "").unwrap().keeps(kept, true));
    }

    #[test]
    fn a_ratio_keeps_about_its_share() {
        let quarter = Sampler::read("parentbased_traceidratio", "0.25").unwrap();
        let kept = (0..10_000).filter(|_| quarter.keeps(TraceContext::root(), false)).count();
        assert!((2_200..2_800).contains(&kept), "{kept}");
    }

    #[test]
    fn other_names_and_ratios_are_refused() {
        for (name, argument) in [("", ""), ("jaeger", ""), ("traceidratio", "2")] {
            assert!(Sampler::read(name, argument).is_err(), "{name} {argument}");
        }
    }
}
