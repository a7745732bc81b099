import numpy as np
import pytest
import torch

from mmmae_st.evaluation import Features, knn_accuracy
from mmmae_st.evaluation.knn import count_hits


def features(values, labels) -> Features:
    return Features(np.asarray(values, np.float32)[:, None], np.asarray(labels))


def test_votes_are_weighted_by_similarity():
    # One near neighbour of class 0 outvotes two far ones of class 1, unless all count alike.
    train = features([[1, 0], [0, 1], [0.1, 1]], [0, 1, 1])
    test = features([[1, 0.2]], [0])
    assert knn_accuracy(train, test, (3,), temperature=0.07)[3][0] == 1
    assert knn_accuracy(train, test, (3,), temperature=100)[3][0] == 0
    assert knn_accuracy(train, test, (1,), temperature=100)[1][0] == 1


def test_agrees_with_explicit_votes():
    rng = np.random.default_rng(0)
    train = features(rng.normal(size=(40, 6)), rng.integers(0, 7, 40))
    test = features(rng.normal(size=(30, 6)), rng.integers(0, 7, 30))
    found = knn_accuracy(train, test, (5,), temperature=0.2, chunk=7)[5]

    def unit(values):
        return values / np.linalg.norm(values, axis=-1, keepdims=True)

    similarity = unit(test.values[:, 0]) @ unit(train.values[:, 0]).T
    top1 = top5 = 0
    for row, label in zip(similarity, test.labels, strict=True):
        votes = np.zeros(7)
        for neighbor in np.argsort(row)[::-1][:5]:
            votes[train.labels[neighbor]] += np.exp(row[neighbor] / 0.2)
        top1 += votes.argmax() == label
        top5 += label in np.argsort(votes)[::-1][:5] and votes[label] > 0
    assert found[0] == pytest.approx(top1 / 30)
    assert found[1] >= top5 / 30


def test_views_are_averaged():
    train = Features(np.array([[[1, 0], [1, 0]], [[0, 1], [0, 1]]], np.float32), np.array([0, 1]))
    test = Features(np.array([[[3, 0], [0, 1]]], np.float32), np.array([0]))
    assert knn_accuracy(train, test, (1,))[1][0] == 1


def test_count_hits_with_fewer_than_five_classes():
    scores = torch.tensor([[0.9, 0.1], [0.9, 0.1]])
    assert count_hits(scores, torch.tensor([0, 1])).tolist() == [1, 2]


def test_bad_arguments_are_named():
    train = features([[1, 0], [0, 1]], [0, 1])
    with pytest.raises(ValueError, match=r'num_neighbors must be within \[1, 2\]'):
        knn_accuracy(train, train, (1, 3))
    with pytest.raises(ValueError, match='temperature'):
        knn_accuracy(train, train, (1,), temperature=0)
