//! Backward weights in a file that are those of another kind of rule, or of another shape, than those of the nodes.

use crate::spec::state::{StateTensor, TensorRole};
use safetensors::tensor::TensorView;
use std::collections::{BTreeMap, BTreeSet};

/// Removes from `given` the backward weights of every layer of `owned` that the nodes cannot take, and returns these layers
/// with the names of the removed tensors. They have another shape in the file, or a fixed matrix beside them (product feedback
/// alignment) at the nodes alone or in the file alone: the same name then means another matrix. W does not depend on them.
pub fn remove_other_backward(
    given: &mut BTreeMap<String, TensorView<'_>>,
    owned: &[StateTensor],
) -> BTreeMap<String, Vec<String>> {
    let others: BTreeSet<&str> = owned
        .iter()
        .filter(|own| own.role == TensorRole::Backward && given.contains_key(&own.name))
        .map(|own| own.layer.as_str())
        .filter(|layer| !is_alike(layer, given, owned))
        .collect();
    let mut removed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for layer in others {
        let backward = format!("{layer}.weight_backward");
        let is_own = |name: &String| {
            *name == backward
                || *name == format!("{layer}.feedback")
                || name.strip_prefix(&backward).is_some_and(|slot| slot.starts_with('.'))
        };
        let names: Vec<String> = given.keys().filter(|name| is_own(name)).cloned().collect();
        names.iter().for_each(|name| _ = given.remove(name));
        removed.insert(layer.to_owned(), names);
    }
    removed
}

/// Whether the backward weights of a layer are the same matrices of the same shapes in the file and at the nodes.
fn is_alike(layer: &str, given: &BTreeMap<String, TensorView<'_>>, owned: &[StateTensor]) -> bool {
    ["weight_backward", "feedback"].iter().all(|matrix| {
        let name = format!("{layer}.{matrix}");
        let here = owned.iter().find(|own| own.name == name);
        match (here, given.get(&name)) {
            (Some(own), Some(view)) => {
                view.shape().iter().map(|&size| size as u64).eq(own.shape.iter().copied())
            }
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::Dtype;

    fn own(name: &str, shape: &[u64], role: TensorRole) -> StateTensor {
        StateTensor { name: name.into(), shape: shape.into(), role, layer: "a".into() }
    }

    #[test]
    fn the_b_of_another_rule_or_shape_is_removed_and_w_stays() {
        let zeros = [0_u8; 64];
        let view = |shape: &[usize]| {
            let bytes = 4 * shape.iter().product::<usize>();
            TensorView::new(Dtype::F32, shape.to_vec(), &zeros[..bytes]).unwrap()
        };
        let left = |of_file: &[(&str, &[usize])], here: &[StateTensor]| {
            let mut given = of_file.iter().map(|(name, shape)| ((*name).to_owned(), view(shape))).collect();
            let removed = remove_other_backward(&mut given, here);
            (given.keys().map(|name| name.replace("a.", "")).collect::<Vec<_>>().join(" "), removed.len())
        };
        let w = own("a.weight", &[2, 3], TensorRole::Forward);
        let b = own("a.weight_backward", &[2, 3], TensorRole::Backward);
        let r = own("a.weight_backward", &[4, 3], TensorRole::Backward);
        let fixed = own("a.feedback", &[2, 4], TensorRole::Fixed);
        let square = own("a.feedback", &[2, 2], TensorRole::Fixed);
        let plain: [(&str, &[usize]); 3] =
            [("a.weight", &[2, 3]), ("a.weight_backward", &[2, 3]), ("a.weight_backward.momentum", &[2, 3])];
        let product: [(&str, &[usize]); 3] =
            [("a.weight", &[2, 3]), ("a.weight_backward", &[2, 3]), ("a.feedback", &[2, 2])];
        let all = ("weight weight_backward weight_backward.momentum".to_owned(), 0);
        assert_eq!(left(&plain, &[w.clone(), b.clone()]), all);
        assert_eq!(left(&plain, &[w.clone(), r, fixed]), ("weight".into(), 1), "another shape");
        assert_eq!(left(&plain, &[w.clone(), b.clone(), square.clone()]), ("weight".into(), 1));
        assert_eq!(left(&product, &[w.clone(), b.clone()]), ("weight".into(), 1), "R is no B");
        assert_eq!(left(&product, &[w.clone(), b, square]).1, 0);
        assert_eq!(left(&plain, &[w]), all, "no B at all is no other B");
    }
}
