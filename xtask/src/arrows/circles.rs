//! The search for circles in a graph.

use std::collections::{BTreeSet, VecDeque};

/// The circles, each as the edges along it. Each circle is the shortest through one of its nodes, and of circles with
/// the same nodes only one is returned.
pub fn circles<N: Copy + Ord>(edges: &[(N, N)]) -> Vec<Vec<usize>> {
    let mut found: Vec<(BTreeSet<N>, Vec<usize>)> = Vec::new();
    for start in edges.iter().map(|edge| edge.0).collect::<BTreeSet<_>>() {
        let Some(circle) = shortest(start, edges) else { continue };
        let nodes = circle.iter().map(|&edge| edges[edge].0).collect();
        if !found.iter().any(|(known, _)| *known == nodes) {
            found.push((nodes, circle));
        }
    }
    found.into_iter().map(|(_, circle)| circle).collect()
}

/// The shortest path from a node back to itself.
fn shortest<N: Copy + Ord>(start: N, edges: &[(N, N)]) -> Option<Vec<usize>> {
    let mut ways = VecDeque::from([(start, Vec::new())]);
    let mut seen = BTreeSet::new();
    while let Some((node, way)) = ways.pop_front() {
        for (edge, &(_, to)) in edges.iter().enumerate().filter(|(_, edge)| edge.0 == node) {
            let way = [way.as_slice(), &[edge]].concat();
            if to == start {
                return Some(way);
            }
            if seen.insert(to) {
                ways.push_back((to, way));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::circles;

    #[test]
    fn every_circle_is_found_once() {
        assert!(circles(&[(1, 2), (2, 3), (1, 3)]).is_empty());
        let edges = [('a', 'b'), ('b', 'c'), ('c', 'a'), ('b', 'a'), ('d', 'e'), ('e', 'd'), ('d', 'd')];
        assert_eq!(circles(&edges), [vec![0, 3], vec![2, 0, 1], vec![6], vec![5, 4]]);
    }
}
